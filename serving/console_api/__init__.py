"""What the web console asks the gateway for: who is signed in, and what there is to see.

    POST, DELETE, GET /console/session      serving.console_api.sessions
    GET /console/api/personas…              serving.console_api.views
    GET /console/api/runs…                  serving.console_api.runs
    GET /console/api/traffic                serving.console_api.traffic

The models of all replies are in `personae.console_wire`. The console asks questions, rates answers and
changes adapters by the same routes as everybody else.
"""
