"""python -m mbref site: the notebooks as linked pages, which ask nothing of any server."""
from pathlib import Path

from mbref.data import shipped
from mbref.data.files import write_folder
from mbref.errors import InputError, require

ROUTE = {"Lectures, in this order": ("00", "01", "04", "02", "03", "05", "06"),
         "Alongside": ("07",),
         "For the curious": ("08", "09"),
         "Afterwards": ("10", "11", "12")}
OURS = "| mbref</title>"  # in the head of every page
EXERCISES, OTHERS = "Exercises", "Other notebooks"


def run_site(options):
    """`site`: make all pages, then write them."""
    folder, out = shipped.PACKAGE.parent / "notebooks", Path(options.out)
    require(not out.is_file(), f"--out {out} is a file: give a folder.")
    index = out / "index.html"
    require(not index.is_file() or OURS in index.read_text("utf-8", "replace"),
            f"{index} is a page of somebody else: give another folder.")
    pages = make_pages(folder)
    contents = {name: text.encode("utf-8") for name, text in pages.items()}
    write_folder(out, contents, over=True)
    print(f"wrote {len(pages)} pages; open {out / 'index.html'} in a browser.")


def make_pages(folder):
    """A page of each notebook in a folder, and one that lists them.  -> {file name: text}.

    Raises InputError where a package is missing, a notebook damaged or an equation not understood.
    """
    try:
        from notebooks.course import pages
    except ImportError as error:
        raise InputError(f"site needs {error.name}, which is not installed: "
                         "pip install nbconvert latex2mathml.") from error
    paths = [*folder.glob("*.ipynb"), *folder.glob("exercises/*.ipynb")]
    return pages.make_all(sort_notebooks(paths))


def sort_notebooks(paths):
    """Notebooks in their order.  -> {part of the route: their paths}, no part empty."""
    places = {number: part for part, numbers in ROUTE.items() for number in numbers}
    route = [*places]
    parts = {part: [] for part in (*ROUTE, EXERCISES, OTHERS)}
    for path in sorted(paths):
        other = EXERCISES if path.parent.name == "exercises" else OTHERS
        parts[places.get(path.stem[:2], other)].append(path)
    for part in ROUTE:
        parts[part].sort(key=lambda path: route.index(path.stem[:2]))
    return {part: paths for part, paths in parts.items() if paths}
