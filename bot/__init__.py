"""The chat frontends: Discord and Slack. They know the gateway's HTTP API and nothing else of serving.

core         what no platform differs in: the desk, answers and their edits, all sentences
state        what outlives the process: conversations, answers, settings, counts
on_discord   Discord;  on_slack   Slack
"""
