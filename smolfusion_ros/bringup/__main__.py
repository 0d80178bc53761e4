"""``python -m smolfusion_ros.bringup``: see ``runner``."""

from smolfusion_ros.bringup.runner import main

raise SystemExit(main())
