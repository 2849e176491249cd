"""Options of the commands for a course."""

EXERCISES = """Write the students' copies of notebooks/exercises: without solutions, hidden
tests and outputs. A file that a student has changed is never written over."""


def add_exercises(commands):
    """The command that writes what students solve."""
    p = commands.add_parser("exercises", description=EXERCISES,
                            help="write the students' copies of the exercises")
    p.add_argument("--student", metavar="DIR", required=True, help="folder of the copies")
    p.add_argument("--only", action="append", default=[], metavar="NAME",
                   help="of this set, such as hmar; may be repeated")
    p.set_defaults(run="mbref.course.commands.run_exercises")


def add_site(commands):
    """The command that makes pages of the notebooks."""
    p = commands.add_parser("site", help="the notebooks as linked pages that need no network")
    p.add_argument("--out", default="out/site", metavar="DIR",
                   help="folder of the pages (default: out/site)")
    p.set_defaults(run="mbref.course.site.run_site")
