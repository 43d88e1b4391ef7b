"""Print how many distributions this environment holds, and the bytes of their files without byte code."""

import importlib.metadata
import json
from pathlib import Path


def main() -> None:
    """Print one line."""
    found = {package.name: package for package in importlib.metadata.distributions()}
    paths = {
        Path(str(file.locate())) for package in found.values() for file in package.files or [] if file.suffix != ".pyc"
    }
    size = sum(path.stat().st_size for path in paths if path.is_file())
    print(json.dumps({"distributions": len(found), "bytes": size}))


if __name__ == "__main__":
    main()
