"""Slack: mentions, direct messages, slash commands, over Socket Mode. Run as: python -m bot.on_slack"""
