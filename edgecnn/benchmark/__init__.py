"""``edgecnn-bench``: times models on several backends side by side.

`cli` reads the arguments, `runner` is one combination in a process of its own, `measure` lets all take turns, `peers`
are other runtimes, `report` makes table and JSON (`schema.json`), `page` HTML, `machine` and `versions` say what it ran
on, `compare` judges two runs.
"""
