"""Discord: slash commands, answers streamed by edits. Run as: python -m bot.on_discord"""
