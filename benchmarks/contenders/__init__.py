"""Programs that do the same job, each run as a process of its own: `python CONTENDER.py OBJECTS FILE`.

The job: every line of OBJECTS is parsed and stored once under its `id`, its JSON whole in one column, in a
database FILE that may hold it already. Those that do another job say so. The others' run in environments that
do not have lorchestra, and do not import it.
"""
