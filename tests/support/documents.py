"""documents.py owns what tests take from the pages for users, word for word."""
import re
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent.parent / "docs"


def database_sql(heading):
    """The SQL of one section of database.md."""
    page = (FOLDER / "database.md").read_text(encoding="utf-8")
    section = re.search(rf"^## {heading}$(.*?)(?=^## |\Z)", page, re.M | re.S)[1]
    return "".join(re.findall(r"```sql\n(.*?)```", section, re.S))
