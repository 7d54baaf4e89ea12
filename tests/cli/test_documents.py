"""Links of the documents: files that are there, and headings that are in them."""

import re
import sys
import unittest
from pathlib import Path

SOURCE = Path(sys.argv.pop(1)) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2]
DOCUMENTS = [*SOURCE.glob("*.md"), *SOURCE.glob("docs/**/*.md"), *SOURCE.glob("weights/**/*.md"), *SOURCE.glob("yaml/**/*.md"), *SOURCE.glob("tests/**/*.md")]


def anchors(text):
    """The anchors that GitHub gives the headings of a document, repeated ones numbered."""
    found = {}
    for heading in re.findall(r"^#+ +(.*)$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M):
        heading = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.replace("`", ""))
        name = re.sub(r"[^\w -]", "", heading.strip().lower()).replace(" ", "-")
        found[name] = found.get(name, -1) + 1
    return {name if not number else f"{name}-{number}" for name, count in found.items() for number in range(count + 1)}


class Links(unittest.TestCase):
    def test_each_leads_to_a_file_and_a_heading(self):
        self.assertGreater(len(DOCUMENTS), 50)
        links = 0
        for document in DOCUMENTS:
            text = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.M | re.S)
            for target in re.findall(r"\]\((?!\w+:)([^)\s]+)\)", text):
                path, _, anchor = target.partition("#")
                file = (document.parent / path).resolve() if path else document
                with self.subTest(document=str(document.relative_to(SOURCE)), link=target):
                    self.assertTrue(file.exists())
                    if anchor and file.suffix == ".md":
                        self.assertIn(anchor, anchors(file.read_text()))
                links += 1
        self.assertGreater(links, 100)

    def test_the_list_of_experiment_files_is_whole(self):
        listed = re.findall(r"`([\w/]+\.yaml)`", (SOURCE / "yaml" / "README.md").read_text())
        self.assertEqual(sorted(listed), sorted(str(file.relative_to(SOURCE / "yaml")) for file in SOURCE.glob("yaml/**/*.yaml")
                                                if file.parent.name != "scales"))

    def test_each_page_of_results_is_listed(self):
        listed = re.findall(r"^- \[[^\]]+\]\(results/([\w.-]+)\): ", (SOURCE / "docs" / "results.md").read_text(), re.M)
        self.assertEqual(sorted([*listed, "provenance.md"]), sorted(file.name for file in SOURCE.glob("docs/results/*.md")))

    def test_pages_are_short_enough_to_be_shown(self):
        """GitHub shows no Markdown of more than half a megabyte."""
        for document in DOCUMENTS:
            self.assertLess(document.stat().st_size, 400_000, document)


if __name__ == "__main__":
    unittest.main()
