"""The guides hold: links, commands, names, settings, routes and codes are those of the code."""
