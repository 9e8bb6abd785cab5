"""``edgecnn-bench``: times models on several backends side by side.

`cli` reads the arguments, `measure` runs each combination in a process of its own and interleaves them, `report` makes
table and JSON (`schema.json`), `machine` and `versions` say what it ran on.
"""
