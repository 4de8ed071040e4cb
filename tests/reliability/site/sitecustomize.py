"""Found by the installed command through PYTHONPATH: it is disturbed as the environment says."""

import crash_hook

crash_hook.install()
