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
