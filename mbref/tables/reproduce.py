"""A paper's table: the model, its ablations and the plain baselines on the same held-out events.

Every row is trained with several seeds; results.json holds all numbers, figures show them.
"""
from dataclasses import asdict, replace
from math import isfinite
from pathlib import Path
from tempfile import TemporaryFile

from mbref import metrics, runs
from mbref.data.files import write_json
from mbref.errors import InputError, require
from mbref.tables import groups, rows, session_figures, sessions, whole_catalogue
from mbref.tables.jobs import Job

# a table's kind, by its name in tables/rows.py
KINDS = {"ranking": whole_catalogue.RANKING, "AUC": whole_catalogue.AUC, "groups": groups.KIND,
         "sessions": sessions.KIND}
FINISHED = "finished"  # the folder of trainings in that of the results


def jobs_of(paper, seeds, texts, only=(), at=()):
    """Every (row, seed) to train; `texts` {field: text} change every row that has the field.

    What a row says itself goes before that. Raises InputError for a row or a field that nothing
    has.
    """
    table = rows.PAPERS[paper].rows
    for name in only:
        require(name in table,
                f"--only {name!r} is no row of this table: choose from {', '.join(table)}.")
    require_known(texts, table)
    jobs = []
    for row in dict.fromkeys(only) or table:
        model, changes = table[row]
        own = {name: text for name, text in texts.items() if name in runs.field_names(model)}
        overrides, settings = runs.parse_settings(model, {**own, **changes})
        settings = replace(settings, steps=at[-1]) if at else settings
        jobs += [Job(row, model, overrides, replace(settings, seed=settings.seed + i), at)
                 for i in range(seeds)]
    return jobs


def require_known(texts, table):
    """Raise InputError unless some model of the table has each field of `texts`."""
    known = {name for model, _ in table.values() for name in runs.field_names(model)}
    for name in texts:
        require(name in known, f"--set {name}: no model of this table has it; "
                               f"choose from {', '.join(sorted(known))}.")


def collect(about, plain, results, published=()):
    """Everything as one dict for results.json.

    about: what is said of the log; plain {row: figures}; results: list of (Job, figures, facts of
    the training); published {row: {column: number}} of the paper.
    """
    published = dict(published)
    found = {name: {"seeds": [figures], "mean": figures, "sd": dict.fromkeys(figures, 0.0)}
             for name, figures in plain.items()}
    for row in dict.fromkeys(job.row for job, _, _ in results):
        found[row] = collect_row([result for result in results if result[0].row == row])
        found[row] |= {"published": published[row]} if row in published else {}
    return {"about": about, "rows": found}


def collect_row(results):
    """One row of the table from the (Job, figures, facts) of its seeds."""
    job, (seeds, facts) = results[0][0], zip(*(result[1:] for result in results), strict=True)
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
    printed = len(columns)
    columns = all_columns(results, columns)
    lines = [f"{'':28}" + "".join(f"{column:>26}" for column in columns)]
    for name, row in results["rows"].items():
        cells = "".join(f"{cell_of(row, column):>26}" for column in columns)
        lines.append(f"{name:28}" + cells.rstrip())
    lines += [rows.PUBLISHED_NOTE] if len(columns) > printed else []
    return "\n".join(lines)


def all_columns(results, columns):
    """These columns and those that the paper printed."""
    return [*columns, *dict.fromkeys(column for row in results["rows"].values()
                                     for column in row.get("published", {}))]


def cell_of(row, column):
    """One number of the table as text, "" where the row has none."""
    if column not in row["mean"]:
        number = row.get("published", {}).get(column)
        return f"{number:.4f}" if number is not None else ""
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
    """PNG figures: `columns` of every row, sweeps, shares, validation while training.  -> paths."""
    from mbref.tables import plots  # only a figure brings matplotlib

    folder, found = Path(folder), results["rows"]
    paths = [plots.rows(results, folder / "table.png", columns)]
    for sweep in paper.sweeps:
        values = values_of(sweep, found)
        if len(values) > 1:
            path = folder / f"{sweep.name}.png"
            paths.append(plots.sweep(results, path, values, sweep.label, columns[0]))
    curves = [name for name in paper.curves if name in found]
    if curves:
        paths.append(plots.shares(results, folder / "shares.png", curves, session_figures.SHARES))
    in_sweeps = {row for sweep in paper.sweeps for row in sweep.values.values()} - {paper.own}
    curves = [name for name, row in found.items() if name not in in_sweeps and row.get("training")
              and row["training"][0]["validation"]]
    return [*paths, plots.learning(results, folder / "learning.png", curves)] if curves else paths


def values_of(sweep, found):
    """{value: row} of a sweep's rows that were trained, in rising order.

    --set may have changed the value of the model's own row.
    """
    values = {float(found[row]["overrides"].get(sweep.field, value)): row
              for value, row in sweep.values.items() if row in found}
    return dict(sorted(values.items()))
