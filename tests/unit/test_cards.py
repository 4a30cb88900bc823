"""What a model card says, as far as gates ask."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkeep.domain import cards

CARD = """---
license: apache-2.0
tags:
  - tickets
languages: []
---
# Ticket classifier

## Intended use
Sort tickets.

## Known limitations

### Languages
German only.

## Risks

```
# not a heading
## Owner
```

## Evaluation
"""


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("license", "apache-2.0"),
        ("tags", "- tickets"),
        ("languages", "German only."),
        ("intended_use", "Sort tickets."),
        ("Known-Limitations", "### Languages\nGerman only."),
        ("evaluation", ""),
        ("owner", ""),
        ("not a heading", ""),
        ("missing", ""),
        ("", ""),
    ],
)
def test_a_part_is_found_by_its_word(word: str, text: str) -> None:
    assert cards.find_part(CARD, word) == text


def test_a_heading_with_nothing_but_headings_below_says_nothing() -> None:
    assert not cards.find_part("# Risks\n## Legal\n## Other\n", "risks")


@given(st.text(max_size=300), st.text(max_size=20))
def test_no_card_breaks_it(card: str, word: str) -> None:
    assert isinstance(cards.find_part(card, word), str)
