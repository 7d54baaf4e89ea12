"""The report's HTML as GitHub's Markdown: paragraphs, emphasis, lists, links and tables."""

from html.parser import HTMLParser

MARKS = {"strong": "**", "em": "*", "code": "`"}
KEPT = {"sub", "sup", "br"}           # GitHub shows them as they are
BLOCKS = {"p", "div", "ul", "table"}  # end what stands before them


def escaped(text):
    """Plain text, none of which means anything in Markdown; line breaks are spaces."""
    for sign in "\\*|<`$":
        text = text.replace(sign, "\\" + sign)
    return " ".join(text.split("\n"))


class _Writer(HTMLParser):
    def __init__(self):
        super().__init__()
        self.blocks = []    # finished paragraphs, lists and tables
        self.text = ""      # of the block that is being read
        self.rows = None    # of the table that is being read: lists of cells
        self.link = ""
        self.in_code = False

    def handle_starttag(self, tag, attributes):
        if tag in BLOCKS:
            self.end_block()
        if tag == "table":
            self.rows = []
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.text = ""
        elif tag == "li":
            self.text += "\n- "
        elif tag == "a":
            self.text, self.link = self.text + "[", dict(attributes)["href"]
        elif tag in MARKS:
            self.text, self.in_code = self.text + MARKS[tag], tag == "code"
        elif tag in KEPT:
            self.text += f"<{tag}>"

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.rows[-1].append(" ".join(self.text.split()))
            self.text = ""
        elif tag == "table":
            self.blocks.append(pipe_table(self.rows))
            self.rows = None
        elif tag in BLOCKS:
            self.end_block()
        elif tag == "a":
            self.text += f"]({self.link})"
        elif tag in MARKS:
            self.text, self.in_code = self.text + MARKS[tag], False
        elif tag in KEPT and tag != "br":
            self.text += f"</{tag}>"

    def handle_data(self, data):
        self.text += data if self.in_code else escaped(data)

    def end_block(self):
        lines = [" ".join(line.split()) for line in self.text.split("\n")]
        if text := "\n".join(line for line in lines if line):
            self.blocks.append(text)
        self.text = ""


def pipe_table(rows):
    """GitHub's table of rows of cells; the first row is the head. Short rows are filled up."""
    width = max(map(len, rows))
    lines = ["| " + " | ".join(row + [""] * (width - len(row))) + " |" for row in rows]
    lines.insert(1, "|" + "---|" * width)
    return "\n".join(lines)


def to_markdown(html):
    """Markdown of a fragment of the report, blocks separated by blank lines."""
    writer = _Writer()
    writer.feed(html)
    writer.close()
    writer.end_block()
    return "\n\n".join(writer.blocks)
