"""Long work that the console starts: ingest, index, plan, train. Each job is a process of its own.

    api.py        HTTP
    jobs.py       starts jobs, lists them, stops them; one a persona, one training at all
    commands.py   what a job runs, and what of the environment it gets
    record.py     a job's state on disk: <home>/jobs/<id>.json, .log, .stop
    worker.py     the process: runs the commands, keeps state and log, ends them when somebody wants it to

A worker outlives the gateway that started it, and whoever shares `<home>` sees its state. The commands are
those of the command line, which go on where they stopped when they are run again.
"""
