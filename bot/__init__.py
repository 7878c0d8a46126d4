"""The chat frontends: Discord and Slack. They know the gateway's HTTP API and nothing else of serving.

gateway_client   HTTP and server-sent events → wire objects and errors
answer           events → what a person sees (text, sources, disclosure), platform-neutral
edits            many updates → few edits, latest wins
sentences        every sentence a person can meet, in one place
discord_*        Discord;  slack_*  Slack
"""
