"""discord.py 2.7 imports `audioop`, which warns on Python 3.11 and 3.12; warnings are errors here.

Imported once before any test module, it can't warn again.
"""

import warnings

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="'audioop' is deprecated")
    import discord  # noqa: F401
