"""What several tests of the kit need."""
import pytest


@pytest.fixture
def write_file(tmp_path):
    """A function that writes an implementation.  text -> path."""
    def write(text, name="impl.py"):
        path = tmp_path / name
        path.write_text("import autograd.numpy as np\n" + text)
        return str(path)
    return write
