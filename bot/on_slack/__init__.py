"""Slack: mentions, direct messages, commands, App Home; Socket Mode or HTTP. `python -m bot.on_slack`"""
