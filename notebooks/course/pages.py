"""Pages of notebooks: cells by nbconvert, equations as MathML by latex2mathml, frames by Jinja."""
import re
from functools import cache, partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import nbformat
from bs4 import BeautifulSoup, NavigableString
from jinja2 import Environment, FileSystemLoader
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from pygments.formatters import HtmlFormatter

from mbref.errors import InputError, require
from notebooks.course.commands import make_copy
from notebooks.course.equations import to_mathml

TEMPLATES = Path(__file__).parent / "page"
EXERCISES = "exercises"  # the folder of what is the teacher's
HEADINGS = ("h1", "h2", "h3", "h4")
LINE = 40  # characters of code that a phone shows without a break
MARK = "¶ "  # nbconvert ends a heading by a link to itself
KEPT = re.compile(r"(<math [^>]*inline[^>]*>(?:(?!</math>).)*</math>[.,;:)])")  # on one line


class Section(NamedTuple):
    """A heading and what stands under it."""
    id: str  # of the heading in its page
    heading: str
    text: str


class Chapter(NamedTuple):
    """A notebook as HTML."""
    file: str  # the name of its page
    title: str  # with the notebook's number, if it has one
    label: str  # the title, cut at its colon if there is a number
    lead: str  # the paragraph that says what it is for
    body: str
    sections: list


def make_all(places):
    """Pages of the notebooks, given as {part of the route: their paths}.  -> {file name: text}.

    Raises InputError for a damaged notebook, or an equation that is not understood.
    """
    parts = {part: [read_chapter(path) for path in paths] for part, paths in places.items()}
    chapters = list(chain(*parts.values()))
    jinja = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True)
    jinja.globals["colours"] = colours_of_code()
    page = jinja.get_template("chapter.html")
    before, after = [None, *chapters], [*chapters[1:], None]
    pages = {chapter.file: page.render(chapter=chapter, before=one, after=next_one)
             for one, chapter, next_one in zip(before, chapters, after, strict=False)}
    texts = [(chapter.file, chapter.label, *section)
             for chapter in chapters for section in chapter.sections]
    contents = jinja.get_template("contents.html").render(parts=parts, texts=texts)
    return {"index.html": contents, **pages}


def colours_of_code():
    """CSS of highlighted code, in the light and in the dark."""
    light, dark = (HtmlFormatter(style=style).get_style_defs(".highlight")
                   for style in ("default", "native"))
    return f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}"


def read_chapter(path):
    """A notebook, rendered.  -> Chapter."""
    soup = BeautifulSoup(render(path), "html.parser")
    require(soup.h1, f"{path} has no title: begin its first cell with '# '.")
    for table in soup("table"):
        table.wrap(soup.new_tag("div", attrs={"class": "wide"}))
    for link in soup("a", class_="anchor-link"):
        link["aria-label"] = "link to this heading"
    for code in soup.select("p code, li code"):
        if len(code.text) < LINE:
            code["class"] = "kept"
    sections = find_sections(soup)
    paragraphs = soup("p") or [soup.h1]
    lead = next((p for p in paragraphs if "After this you can" in p.text), paragraphs[0])
    number, _, name = path.stem.partition("_")
    title = f"{number} {sections[0].heading}" if name else sections[0].heading
    label = title.partition(":")[0] if name else title
    return Chapter(f"{path.stem}.html", title, label, lead.decode_contents(), str(soup), sections)


def render(path):
    """The cells of a notebook.  -> HTML."""
    try:
        return open_exporter().from_notebook_node(read(path))[0]
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except Exception as error:  # nbformat's own, JSON's, and of what is no text
        raise InputError(f"{path} cannot be read as a notebook: {error}.") from error


def read(path):
    """A notebook; of an exercise a student's copy, which holds no solution.  -> NotebookNode."""
    if path.parent.name != EXERCISES:
        return nbformat.read(path, as_version=4)
    return nbformat.reads(make_copy(path).decode("utf-8"), as_version=4)


@cache
def open_exporter():
    """nbconvert's, for cells alone. They are the teacher's: scripts in them are not removed."""
    filters = {"markdown2html": render_markdown, "clean_html": lambda html: html}
    return HTMLExporter(template_name="basic", filters=filters,
                        exclude_input_prompt=True, exclude_output_prompt=True)


def render_markdown(source):
    """The text of a cell, its equations as MathML.  -> HTML."""
    renderer = IPythonRenderer(escape=False)
    renderer.inline_math = partial(to_mathml, display="inline")
    renderer.block_math = to_mathml
    html = MarkdownWithMath(renderer=renderer).render(source)
    return KEPT.sub(r'<span class="kept">\1</span>', html)


def find_sections(soup):
    """The headings of a page, each with the text from there to the next.  -> list of Sections."""
    found = []
    for part in soup.descendants:
        if part.name in HEADINGS:
            found.append((part, []))
        elif found and isinstance(part, NavigableString):
            found[-1][1].append(part)
    return [Section(heading["id"], heading.text.strip(MARK), " ".join("".join(texts).split()))
            for heading, texts in found]
