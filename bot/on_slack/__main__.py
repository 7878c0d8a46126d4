"""`python -m bot.on_slack`: see `bot.on_slack.frontend`."""

import sys

from bot.on_slack.frontend import main

sys.exit(main())
