"""Discord: commands, mentions, buttons; answers streamed by edits. Run as: python -m bot.on_discord

what runs          frontend.py, settings.py, client.py (one connection), registration.py, checkup.py
what people do     commands.py, admin.py, controls.py (buttons, modals), mentions.py (messages)
on the way in      arrival.py (the first three seconds), people.py, talk.py (orders), translation.py
one answer         surface.py → outlets.py (by token, as a message, by webhook), names.py, pace.py
view → messages    layout.py, pages.py, markdown.py, harmless.py, buttons.py, suggestions.py
"""
