"""How drawn things are named and asked about, in English and in Chinese. It knows no pictures.

`HELD_BACK` are wordings that no training sees: what a checkpoint answers to them is what it understands.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

Code = Literal["en", "zh"]

COLORS = {
    "red": "红色", "green": "绿色", "blue": "蓝色", "yellow": "黄色", "purple": "紫色", "orange": "橙色",
    "black": "黑色", "white": "白色",
}  # fmt: skip
SHAPES = {
    "circle": "圆形", "square": "方形", "triangle": "三角形", "star": "星形", "cross": "十字形", "ring": "圆环",
    "rectangle": "长方形", "pentagon": "五边形", "heart": "心形", "arrow": "箭头",
}  # fmt: skip
ALSO_CALLED = {"圆形": "圆", "方形": "正方形", "星形": "五角星", "圆环": "环形", "长方形": "矩形", "心形": "爱心"}
"""Other words for the shapes, in questions alone."""
SIZES = {"small": "小", "large": "大"}
PLURAL = {"cross": "crosses"}


@dataclass(frozen=True)
class Wording:
    """The phrases of a language; those in braces are filled in."""

    code: Code
    ask: Mapping[str, tuple[str, ...]]
    """By what is asked, the wordings of a training."""
    held_back: Mapping[str, tuple[str, ...]]
    """Those that no training sees."""
    sides: Mapping[str, tuple[str, ...]]
    edges: Mapping[str, tuple[str, ...]]
    say: Mapping[str, str]
    """What is answered, by its occasion."""
    steps: Mapping[str, str]
    """A plan's step, by what is asked."""
    anything: tuple[str, ...]
    """Words for things of any kind."""

    def question(self, rng: Random, what: str, *, unseen: bool, **filled: str) -> str:
        """Return a question, in one of the wordings held back if it is to be unseen."""
        return rng.choice((self.held_back if unseen else self.ask)[what]).format(**filled)

    def word(self, name: str) -> str:
        """Return the word for a colour, a shape or a size."""
        return name if self.code == "en" else (COLORS | SHAPES | SIZES)[name]

    def name(self, *words: str) -> str:
        """Name one thing by size, colour and shape, or some of them."""
        if self.code == "en":
            return " ".join(words)
        return "".join(self.word(w) + ("的" if w in SIZES else "") for w in words)

    def asked(self, rng: Random, *words: str) -> str:
        """Name one thing as somebody asks for it."""
        name, usual = self.name(*words), SHAPES.get(words[-1], "")
        if self.code == "zh" and usual in ALSO_CALLED and rng.random() < 0.3:
            return name.removesuffix(usual) + ALSO_CALLED[usual]
        return name

    def one(self, name: str) -> str:
        """Put the article before the name."""
        return with_article(name) if self.code == "en" else name

    def many(self, rng: Random, *words: str) -> str:
        """Name all things of a size, a colour, a shape; without a shape they are objects, things or shapes."""
        if self.code == "en":
            noun = plural(words[-1]) if words and words[-1] in SHAPES else rng.choice(self.anything)
            return " ".join([*(w for w in words if w not in SHAPES), noun])
        if words and words[-1] in SHAPES:
            return self.asked(rng, *words)
        return "".join(f"{self.word(w)}的" for w in words) + rng.choice(self.anything)

    def listed(self, names: Sequence[str]) -> str:
        """Join different names."""
        unique = list(dict.fromkeys(names))
        comma, last = (", ", " and ") if self.code == "en" else ("、", "和")
        return unique[0] if len(unique) == 1 else comma.join(unique[:-1]) + last + unique[-1]

    def caption(self, names: Sequence[str]) -> str:
        """Say how many things there are and name them in their order."""
        if not names:
            return self.say["empty"]
        one = [with_article(n) for n in names] if self.code == "en" else [f"一个{n}" for n in names]
        comma, last = (", ", " and ") if self.code == "en" else ("、", "和")
        every = one[0] if len(one) == 1 else comma.join(one[:-1]) + last + one[-1]
        return self.say["one" if len(one) == 1 else "several"].format(count=len(one), things=every)

    def casual(self, rng: Random, text: str) -> str:
        """Write it as people type: now and then without the capital or the closing mark, or with the other one."""
        if self.code == "en" and rng.random() < 0.12:
            text = text[0].lower() + text[1:]
        if self.code == "zh" and rng.random() < 0.3:
            text = text.replace("\uff1f", "?")
        return text[:-1] if rng.random() < 0.12 else text


def plural(noun: str) -> str:
    """Return the plural of a shape's English name."""
    return PLURAL.get(noun, noun + "s")


def with_article(words: str) -> str:
    """Put "a" or "an" before the words."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


ENGLISH = Wording(
    code="en",
    ask={
        "count": (
            "How many {many} are there?", "How many {many} are there?", "How many {many} are in the picture?",
            "How many {many} do you see?", "How many {many} can you see in the image?", "Count the {many}.",
            "What is the number of {many}?", "Tell me how many {many} there are.",
        ),
        "exist": (
            "Is there {one}?", "Is there {one} in the picture?", "Do you see {one}?", "Does the picture show {one}?",
            "Is {one} in the image?", "Is {one} among the objects?",
        ),
        "color": (
            "What color is the {name}?", "What colour is the {name}?", "What is the color of the {name}?",
            "Which color is the {name}?", "What color does the {name} have?", "Name the color of the {name}.",
        ),
        "shape": (
            "What shape is the {name} object?", "What is the shape of the {name} object?", "Which shape is {name}?",
            "What is the {name} thing?", "What shape does the {name} object have?", "Name the shape that is {name}.",
        ),
        "caption": (
            "Describe the picture.", "Describe the image.", "What do you see?", "What is in the picture?",
            "Write a caption for this picture.", "Describe this image in one sentence.", "What does the picture show?",
            "List everything in the picture.",
        ),
        "relation": ("Is the {a} {side} the {b}?", "Is the {a} {side} the {b}?", "Is the {a} placed {side} the {b}?"),
        "edge": ("What is the {edge} object?", "Which object is {edge}?", "What is the {edge} thing?"),
        "size": (
            "Is the {name} small or large?", "How large is the {name}?", "What size is the {name}?",
            "Is the {name} large or small?",
        ),
        "word": (
            "What does the sign say?", "Read the word.", "What word is written?", "Read the text in the picture.",
            "Which word is in the picture?",
        ),
        "locate": (
            "Locate the {name}.", "Where is the {name}?", "Find the {name} and give its box.",
            "Give the bounding box of the {name}.", "Where in the picture is the {name}?", "Mark the {name}.",
        ),
        "more": (
            "Which picture has more {many}?", "Which image shows more {many}?",
            "Are there more {many} in the first or in the second picture?",
        ),
        "count first": ("How many {many} are in the first picture?", "Count the {many} in the first image."),
        "count second": ("How many {many} are in the second picture?", "Count the {many} in the second image."),
        "unknown": (
            "Who is this?", "What is the person doing?", "What animal is this?", "Where was this taken?",
            "What time is it?", "What brand is it?", "How old is it?", "What is the weather like?",
            "What is the name of the street?", "What is the car's number plate?", "How much does it cost?",
            "When was this photograph taken?", "What is the dog called?", "Who painted this?",
        ),
        "save": (
            "Archive this conversation.", "Save a summary of this session.", "Please save this conversation.",
            "Write a summary of our talk and save it.", "Save this chat for later.", "Archive our session, please.",
        ),
        "documents": (
            "What do my documents say about {name}?", "What do the documents say about {name}?",
            "Search my files for {name}.", "Look up {name} in the knowledge base.",
        ),
    },
    held_back={
        "count": ("How many {many} does the picture contain?", "Give me the number of {many} in this image."),
        "exist": ("Does this image contain {one}?", "Can you find {one} here?"),
        "color": ("Tell me the color of the {name}.", "In which color is the {name} drawn?"),
        "shape": ("Tell me the shape of the {name} object.", "Which shape does the {name} thing have?"),
        "caption": ("What objects are shown?", "Tell me what is in this image."),
        "relation": ("Does the {a} lie {side} the {b}?",),
        "edge": ("Name the {edge} object.", "Tell me which object is {edge}."),
        "size": ("Tell me the size of the {name}.", "Would you call the {name} large or small?"),
        "word": ("What is written here?", "Transcribe the word."),
        "locate": ("Show me where the {name} is.", "Give me the box around the {name}."),
        "more": ("In which picture are there more {many}?",),
        "count first": ("What is the number of {many} in the first picture?",),
        "count second": ("What is the number of {many} in the second picture?",),
        "unknown": ("What is the name of the person?", "In which year was it built?", "What song is this?"),
        "save": ("Please archive what we talked about.", "Save our conversation now."),
        "documents": ("Is there anything about {name} in my documents?", "Find {name} in the documents."),
    },
    sides={
        "left": ("left of", "to the left of"), "right": ("right of", "to the right of"),
        "above": ("above", "higher than"), "below": ("below", "under", "lower than"),
    },
    edges={
        "left": ("leftmost",), "right": ("rightmost",), "top": ("topmost", "highest"), "bottom": ("lowest",),
    },
    say={
        "yes": "yes", "no": "no", "is": "yes", "is not": "no", "first": "the first", "second": "the second",
        "same": "both have the same number", "empty": "The picture is empty.",
        "one": "There is {count} object: {things}.", "several": "There are {count} objects: {things}.",
        "no shape": "There is no {what}.",
        "no color": "There is no {what} object.", "no text": "There is no text.",
        "unknown": "I cannot tell from this picture.", "none": "none", "located": "{name} at {box}",
        "read": "It is {value} [{number}].", "not said": "The evidence does not say.",
    },
    steps={
        "count": "count the {what}", "exist": "look for {what}", "color": "look at the {what}",
        "shape": "look at the {what} object", "caption": "name the objects from left to right",
        "relation": "compare the places of the {what}", "edge": "find the {what} object", "size": "look at the {what}",
        "word": "read the text", "locate": "find the {what}", "compare": "count the {what} in each picture",
        "unknown": "look at the picture", "save": "save the conversation", "search": "search the documents",
        "cite": "answer with citations",
    },
    anything=("objects", "objects", "things", "shapes"),
)  # fmt: skip

CHINESE = Wording(
    code="zh",
    ask={
        "count": (
            "图中有几个{many}？", "有几个{many}？", "图片里有多少个{many}？", "一共有几个{many}？",
            "数一数{many}有几个。", "{many}有几个？",
        ),
        "exist": ("图中有{one}吗？", "有没有{one}？", "图片里有{one}吗？", "你看到{one}了吗？"),
        "color": ("{name}是什么颜色？", "{name}的颜色是什么？", "图中的{name}是什么颜色的？"),
        "shape": ("{name}的物体是什么形状？", "{name}的东西是什么？", "{name}的图形是什么形状？"),
        "caption": ("描述这张图片。", "图里有什么？", "你看到了什么？", "用一句话描述这张图片。", "请描述画面。"),
        "relation": ("{a}在{b}的{side}吗？", "{a}是不是在{b}的{side}？"),
        "edge": ("{edge}的物体是什么？", "哪个物体在{edge}？", "{edge}是什么？"),
        "size": ("{name}是大的还是小的？", "{name}有多大？", "{name}是小的还是大的？"),
        "word": ("牌子上写着什么？", "图中写了什么词？", "读出图中的文字。", "图里的文字是什么？"),
        "locate": ("{name}在哪里？", "找出{name}。", "给出{name}的边界框。", "{name}在图中的什么位置？"),
        "more": ("哪张图片的{many}更多？", "哪张图里有更多{many}？"),
        "count first": ("第一张图片里有几个{many}？", "第一张图中有多少个{many}？"),
        "count second": ("第二张图片里有几个{many}？", "第二张图中有多少个{many}？"),
        "unknown": (
            "这是谁？", "这个人在做什么？", "这是什么动物？", "这是在哪里拍的？", "现在几点？", "这是什么牌子？",
            "天气怎么样？", "它多少钱？", "这是什么时候拍的？", "车牌号是多少？", "这条街叫什么名字？",
        ),
        "save": ("保存这次对话。", "请归档我们的对话。", "把这次会话存下来。", "请保存对话的总结。"),
        "documents": ("我的文档里关于{name}说了什么？", "在文档里查一下{name}。", "搜索我的文件:{name}。"),
    },
    held_back={
        "count": ("画面里有多少个{many}？", "你看到几个{many}？"),
        "exist": ("画面上有{one}吗？", "能找到{one}吗？"),
        "color": ("{name}是哪种颜色？", "请说出{name}的颜色。"),
        "shape": ("{name}的物体是哪种形状？", "请说出{name}的物体的形状。"),
        "caption": ("这张图片里有什么？", "画面中有哪些物体？"),
        "relation": ("{a}位于{b}的{side}吗？",),
        "edge": ("在{edge}的物体是什么？", "请说出{edge}的物体。"),
        "size": ("{name}的大小是什么？", "{name}是大还是小？"),
        "word": ("这里写着什么？", "图中的词是什么？"),
        "locate": ("请指出{name}的位置。", "{name}的边界框是什么？"),
        "more": ("哪一张图片有更多{many}？",),
        "count first": ("第一张图片有多少个{many}？",),
        "count second": ("第二张图片有多少个{many}？",),
        "unknown": ("这个人叫什么名字？", "这是哪一年建的？", "这是哪首歌？"),
        "save": ("请把我们的对话归档。", "现在保存对话。"),
        "documents": ("文档里有没有关于{name}的内容？", "请在我的文档里找{name}。"),
    },
    sides={
        "left": ("左边", "左侧"), "right": ("右边", "右侧"), "above": ("上面", "上方"), "below": ("下面", "下方"),
    },
    edges={"left": ("最左边",), "right": ("最右边",), "top": ("最上面",), "bottom": ("最下面",)},
    say={
        "yes": "有", "no": "没有", "is": "是", "is not": "不是", "first": "第一张", "second": "第二张",
        "same": "一样多", "empty": "图片是空的。", "one": "图中有{count}个物体:{things}。",
        "several": "图中有{count}个物体:{things}。", "no shape": "没有{what}。", "no color": "没有{what}的物体。",
        "no text": "没有文字。", "unknown": "从图中看不出来。", "none": "没有", "located": "{name}在 {box}",
        "read": "是{value} [{number}]。", "not said": "资料里没有提到。",
    },
    steps={
        "count": "数一数{what}", "exist": "找一找{what}", "color": "看一看{what}", "shape": "看一看{what}的物体",
        "caption": "从左到右说出物体", "relation": "比较{what}的位置", "edge": "找到{what}的物体",
        "size": "看一看{what}", "word": "读出文字", "locate": "找到{what}",
        "compare": "数一数每张图片里的{what}", "unknown": "看一看图片",
        "save": "保存对话", "search": "搜索文档", "cite": "注明出处回答",
    },
    anything=("物体", "东西", "图形"),
)  # fmt: skip
