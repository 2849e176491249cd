"""TeX to MathML, which browsers draw themselves: latex2mathml, and what it leaves to be mended."""
import re
from html import unescape

from latex2mathml.converter import convert

from mbref.errors import InputError, require

LONG = 24  # letters of an equation within a line, which a phone may be too narrow for
FUNCTION = re.compile(
    r"(\\(?:log|exp|tanh|max|min|operatorname\{\w+\})(?![a-zA-Z])(?:_\w|_\{[^{}]*\})?)"
    r"(\s*(?:\\[bB]igg?l?)?\s*[(\[])?")
TEX = (  # pattern and what to write in its place, before it is converted
    (r"\\!", ""),                                         # a space that no browser knows
    (r"\\[lr]Vert(?![a-zA-Z])", r"\\|"),                  # bars that do not stretch
    (r"\\(math(?:cal|bb|bf)) (\w)", r"\\\1{\2}"),         # the letter itself in that alphabet
    (r"(?<![a-zA-Z\\])([a-zA-Z])'", "{\\1\N{PRIME}}"),    # fonts have it small and raised
    (r"(?<=[\w)}\]])\s*(?=\\(?:log|exp|tanh|max|min|operatorname)(?![a-zA-Z]))", r"\\, "))
MATHML = (  # and after
    ("<mo>([A-Za-z]+|&#x0221E;)</mo>", r"<mi>\1</mi>"),   # no function is an operator, nor infinity
    (r"([(\[,]|&#x000(?:28|3D|3C|2C);|&#x0005B;|&#x02264;)</mo><mo>&#x02212;",
     r'\1</mo><mo form="prefix">&#x02212;'),              # a sign, where nothing is taken away
    ("<munder><munder><mrow>", '<munder><mrow class="brace">'),
    ("<mo>&#x23DF;</mo></munder>", ""),                   # a brace, which few fonts make as long
    ("<mo>&#x0002F;</mo>", '<mo lspace="0" rspace="0">/</mo>'))


def to_mathml(tex, display="block"):
    r"""An equation without its dollars; "block" stands on a line by itself.  -> HTML.

    Raises InputError where TeX is broken, or has a command that latex2mathml does not know: of
    that it makes a letter, which a page would show.
    """
    try:
        found = replace(convert(space_functions(replace(tex, TEX)), display=display), MATHML)
    except Exception as error:  # latex2mathml has a dozen, none with a text
        raise InputError(f"the equation {tex!r} is no TeX ({type(error).__name__}).") from error
    require("<mi>\\" not in found and "<mi>&<" not in found,
            f"the equation {tex!r} has a command that latex2mathml does not know.")
    kind = "equation" if display == "block" else "long" if len(letters_of(found)) > LONG else ""
    return f'<span class="{kind}">{found}</span>' if kind else found


def letters_of(mathml):
    """What is left without the tags."""
    return unescape(re.sub("<[^>]*>", "", mathml))


def replace(text, rules):
    """The text after each of the rules, pairs of a pattern and what comes in its place."""
    for pattern, other in rules:
        text = re.sub(pattern, other, text)
    return text


def space_functions(tex):
    """A thin space between a function and an argument without brackets, as TeX sets it."""
    return FUNCTION.sub(lambda found: found[0] if found[2] else found[1] + r"\, ", tex)
