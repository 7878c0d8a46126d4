"""Measurements of the serving side, as a client sees it. Run as `personae bench serving|overload`.

    home.py         a scratch home with a cast of eight, made from the shipped voices
    processes.py    the gateway with its engine, and the stock engine, as processes of their own
    load.py         requests, timed at the client; many at once
    figures.py      medians, percentiles, ratios of alternating measurements
    prompts.py      questions, and prompts of a chosen length
    exactness.py    does a batch with adapters leave every text as it was
    speed.py        first token and throughput: base, adapters, stock engine, gateway
    reloads.py      reload and rollback under load: whose words are they
    overload.py     four times the load that is safe
    serving_run.py  the scenarios in order, and the keys they give
    machine.py      what it was measured on
    report.py       a table and plots for docs/benchmarks.md

Everything is measured through HTTP from another process, so nothing here is faster than it would be
for a bot. Ratios are of measurements that alternate within one run: a busy machine slows both sides.
"""
