"""Programs that do the same job, each run as a process of its own: `python CONTENDER.py OBJECTS FILE`.

The job: every line of OBJECTS is parsed and stored once under its `id`, its JSON whole in one column, in a
database FILE that may hold it already. Nothing here imports lorchestra but its own contender: the others run
in environments that do not have it.
"""
