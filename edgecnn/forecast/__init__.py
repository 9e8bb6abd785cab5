"""How fast a model will run on a board, from a laptop: docs/forecast.md."""
