"""For the folder of a course: nbgrader then makes the copies that `python -m mbref exercises` makes."""
c = get_config()  # noqa: F821, nbgrader knows it
c.ClearSolutions.code_stub = {
    "python": 'raise NotImplementedError("your turn: the text above says what to return")'}
c.ExecutePreprocessor.timeout = 300  # seconds a cell
c.ExecutePreprocessor.startup_timeout = 300
