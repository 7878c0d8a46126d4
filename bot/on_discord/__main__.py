"""`python -m bot.on_discord`: see `bot.on_discord.frontend`."""

import sys

from bot.on_discord.frontend import main

sys.exit(main())
