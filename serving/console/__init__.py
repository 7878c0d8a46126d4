"""The web console: a static page (`static/`) over the gateway's HTTP API, and the routes that serve it."""
