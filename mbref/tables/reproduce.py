"""A paper's table: the model, its ablations and the plain baselines on the same held-out events.

Every row is trained with several seeds; results.json holds all numbers, figures show them.
"""
from dataclasses import asdict, replace
from math import isfinite
from pathlib import Path
from tempfile import TemporaryFile

from mbref import metrics, runs
from mbref.data.files import alone_in, write_json
from mbref.errors import InputError, require
from mbref.tables import groups, rows, sessions, whole_catalogue
from mbref.tables.jobs import FINISHED, Job

# a table's kind, by its name in tables/rows.py
KINDS = {"ranking": whole_catalogue.RANKING, "AUC": whole_catalogue.AUC, "groups": groups.KIND,
         "sessions": sessions.KIND}


def jobs_of(paper, seeds, texts, only=()):
    """Every (row, seed) to train; `texts` {field: text} change every row that has the field.

    What a row says itself goes first. Raises InputError for a row or a field that nothing has.
    """
    table = rows.PAPERS[paper].rows
    require_one_of(only, table, "row of this table")
    known = {name for model, _ in table.values() for name in runs.field_names(model)}
    for name in texts:
        require(name in known, f"--set {name}: no model of this table has it; "
                               f"choose from {', '.join(sorted(known))}.")
    jobs = []
    for row in dict.fromkeys(only) or table:
        model, changes = table[row]
        own = {name: text for name, text in texts.items() if name in runs.field_names(model)}
        overrides, settings = runs.parse_settings(model, own | changes)
        jobs += of_seeds(Job(row, model, overrides, settings), seeds)
    return jobs


def require_one_of(only, known, what):
    """Raise InputError unless all that --only names is known."""
    for name in only:
        require(name in known, f"--only {name!r} is no {what}: choose from {'; '.join(known)}.")


def of_seeds(job, seeds):
    """The job with each of so many seeds, from its own on."""
    first = job.settings.seed
    return [job._replace(settings=replace(job.settings, seed=first + i)) for i in range(seeds)]


def collect(about, plain, results, published=()):
    """Everything as one dict for results.json.

    about: what is said of the log; plain {row: figures}; results: (Job, figures, facts) of each
    training; published {row: {column: number}} of the paper.
    """
    found = {name: {"seeds": [figures], "mean": figures, "sd": dict.fromkeys(figures, 0.0)}
             for name, figures in plain.items()}
    for row in dict.fromkeys(job.row for job, _, _ in results):
        found[row] = collect_row([result for result in results if result[0].row == row])
        if row in published:
            found[row]["published"] = published[row]
    return {"about": about, "rows": found}


def collect_row(results):
    """One row of the table from the (Job, figures, facts) of its seeds."""
    (job, *_), seeds, facts = zip(*results, strict=True)
    return {"model": job.model, "overrides": job.overrides, "settings": asdict(job.settings),
            "training": list(facts), **spread(seeds)}


def spread(seeds):
    """Mean and standard deviation of figures {column: number}, one a seed."""
    each = {column: metrics.mean_and_spread([figures[column] for figures in seeds])
            for column in seeds[0]}
    return {"seeds": list(seeds), "mean": {column: one.mean for column, one in each.items()},
            "sd": {column: one.sd for column, one in each.items()}}


def table(results, columns):
    """The rows as text: mean and, of several seeds, spread; last what the paper printed."""
    lines = lines_of(results, columns)
    note = [rows.PUBLISHED_NOTE] if len(lines[0]) > 1 + len(columns) else []
    return "\n".join([align(lines), *note])


def lines_of(results, columns):
    """The rows as texts below their heads, with the columns that the paper printed."""
    printed = [column for row in results["rows"].values() for column in row.get("published", {})]
    columns = [*columns, *dict.fromkeys(printed)]
    return [["", *columns], *([name, *(cell_of(row, column) for column in columns)]
                              for name, row in results["rows"].items())]


def align(lines):
    """Lines of texts as one text, every column as wide as it needs and numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(f"{name:{widths[0]}}" + "".join(
        f"  {cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=True)).rstrip()
        for name, *cells in lines)


def cell_of(row, column):
    """One number of the table as text, "" where the row has none."""
    if column not in row["mean"]:
        number = row.get("published", {}).get(column)
        return f"{number:.4f}" if number is not None else ""
    if any("diverged" in facts for facts in row.get("training", [])):
        return "diverged"
    spread = f" ± {row['sd'][column]:.3f}" if len(row["seeds"]) > 1 else " " * 8
    return f"{row['mean'][column]:.3f}{spread}"


def refuse(options, names, because):
    """Raise InputError if one of these options was given, which would do nothing."""
    for name in names:
        require(getattr(options, name) in (None, False, []),
                f"{because}: leave --{name.replace('_', '-')} out.")


def open_folder(folder):
    """The folder for results, made and tried out: it would be late to fail after all trainings.

    -> Path. Raises InputError if nothing can be written there.
    """
    folder = Path(folder)
    try:
        (folder / FINISHED).mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise InputError(f"cannot write to the folder {folder} ({error.strerror}): "
                         "give another --out.") from error


def write_all(paper, results, folder, columns):
    """results.json and the figures, unmixed with those of another process.  -> paths."""
    with alone_in(folder):
        return [save(results, folder), *draw_figures(paper, results, folder, columns)]


def save(results, folder):
    """Write results.json; what has no value is null.  -> its path."""
    path = Path(folder) / "results.json"
    write_json(path, replace_nan(results))
    return path


def replace_nan(value):
    """The same with None for nan, which JSON does not know."""
    if isinstance(value, dict):
        return {name: replace_nan(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [replace_nan(part) for part in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def draw_figures(paper, results, folder, columns):
    """PNG figures: `columns` of every row, sweeps, validation while training.  -> paths."""
    from mbref.tables import plots  # only a figure brings matplotlib

    found = results["rows"]
    paths = [plots.rows(results, folder / "table.png", columns)]
    for sweep in paper.sweeps:
        # --set may have changed the value of the model's own row
        values = {float(found[row]["overrides"].get(sweep.field, value)): row
                  for value, row in sweep.values.items() if row in found}
        if len(values) > 1:
            path = folder / f"{sweep.name}.png"
            paths.append(plots.sweep(results, path, dict(sorted(values.items())), sweep.label,
                                     columns[0]))
    in_sweeps = {row for sweep in paper.sweeps for row in sweep.values.values()} - {paper.own}
    curves = [name for name, row in found.items() if name not in in_sweeps and row.get("training")
              and row["training"][0]["validation"]]
    return [*paths, plots.learning(results, folder / "learning.png", curves)] if curves else paths
