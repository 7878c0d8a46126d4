"""The chat frontends: Discord and Slack. They know the gateway's HTTP API and nothing else of serving.

core         what no platform differs in: the gateway's client, one answer, its edits, all sentences
on_discord   Discord;  on_slack   Slack
"""
