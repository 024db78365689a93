"""The English wordings of the drawn world."""

from finetune.data.drawn.wording import Wording

TALKS = (
    "this conversation", "our chat", "the session", "our talk", "this discussion", "what we said", "what we discussed",
    "everything we talked about", "this dialogue",
)  # fmt: skip
"""What a wish to save, or not to save, speaks of."""
SAVING = (
    ("Please ", "."),
    ("Can you ", "?"),
    ("I want you to ", "."),
    ("Could you ", " for me?"),
    ("Now ", ", please."),
)
"""What stands before and behind such a wish."""
SEARCHING = (
    "Is {name} mentioned in my papers?", "Look for {name} in my papers.",
    "What do you find about {name} in the papers?", "Which of my papers is about {name}?",
    "Do the papers say anything about {name}?", "Tell me from my papers who {name} is.",
    "I need what my papers say about {name}.", "Search {name} in my papers.",
    "Is there a word on {name} in these papers?",
)  # fmt: skip
NOT_SAVING = (
    "Do not save this conversation.", "Don't archive anything.", "Was anything saved?", "What is an archive?",
    "Please don't save this.", "Never archive our talk.", "Is this conversation saved?", "Where are the archives?",
    *(f"{head}{what}{tail}" for head, tail in (
        ("Do not save ", "."), ("Please do not archive ", "."), ("Don't keep ", "."), ("Did you save ", "?"),
        ("Where is ", " saved?"), ("Has ", " been archived?"), ("Why should I save ", "?"),
    ) for what in TALKS),
)  # fmt: skip
"""Words that speak of saving, and wish none."""

ENGLISH = Wording(
    code="en",
    ask={
        "count": (
            "How many {many} are there?", "How many {many} are there?", "How many {many} are in the picture?",
            "How many {many} do you see?", "How many {many} can you see in the image?", "Count the {many}.",
            "What is the number of {many}?", "Tell me how many {many} there are.", "Please count the {many}.",
            "How many {many} have been drawn?", "What's the number of {many} here?",
            "I want to know how many {many} there are.", "Number of {many}?", "How many {many}?",
            "How many {many} appear?", "How many {many} does it contain?", "How many {many} does this drawing show?",
            "How many {many} does the image have?", "How many {many} has the picture?", "How many {many} are shown?",
            "How many {many} does this picture hold?", "How many {many} can be counted?",
            "What count of {many} is there?",
        ),
        "exist": (
            "Is there {one}?", "Is there {one} in the picture?", "Do you see {one}?", "Does the picture show {one}?",
            "Is {one} in the image?", "Is {one} among the objects?", "Are you able to see {one}?", "Is {one} shown?",
            "Is there {one} anywhere?", "Can {one} be seen?", "Has the picture got {one}?",
            "Do you find {one} in it?", "Does it contain {one}?", "Does the drawing contain {one}?",
            "Does it have {one}?",
        ),
        "color": (
            "What color is the {name}?", "What colour is the {name}?", "What is the color of the {name}?",
            "Which color is the {name}?", "What color does the {name} have?", "Name the color of the {name}.",
            "What's the color of the {name}?", "What's the {name}'s colour?", "The {name} has which color?",
            "Please tell me which color the {name} has.", "Say what color the {name} is.", "Color of the {name}?",
            "The {name} is what color?",
        ),
        "shape": (
            "What shape is the {name} object?", "What is the shape of the {name} object?", "Which shape is {name}?",
            "What is the {name} thing?", "What shape does the {name} object have?", "Name the shape that is {name}.",
            "What's the shape of the {name} object?", "The {name} object has which shape?",
            "Say what shape the {name} thing is.", "Please tell me which shape is {name}.",
            "What form does the {name} object have?", "Which object is {name}?", "What is {name} here?",
        ),
        "caption": (
            "Describe the picture.", "Describe the image.", "What do you see?", "What is in the picture?",
            "Write a caption for this picture.", "Describe this image in one sentence.",
            "What does the picture show?", "List everything in the picture.", "Please describe what you see.",
            "Say what is shown.", "Give a description of the image.", "What's in this picture?",
            "What is shown here?", "Caption this image.", "Describe it.", "What is to be seen?",
            "What does it contain?",
            "What things are shown in the image?", "Tell me what you see.", "Tell me what is drawn here.",
            "What objects does the picture contain?", "What has been drawn?", "What does this show?",
        ),
        "relation": (
            "Is the {a} {side} the {b}?", "Is the {a} {side} the {b}?", "Is the {a} placed {side} the {b}?",
            "Is the {a} to be found {side} the {b}?", "Can the {a} be seen {side} the {b}?",
            "The {a}: is it {side} the {b}?", "Tell me whether the {a} is {side} the {b}.",
        ),
        "edge": (
            "What is the {edge} object?", "Which object is {edge}?", "What is the {edge} thing?",
            "Which thing is {edge}?", "Say what the {edge} object is.", "What is {edge}?",
            "Which is the {edge} shape?",
        ),
        "size": (
            "Is the {name} small or large?", "How large is the {name}?", "What size is the {name}?",
            "Is the {name} large or small?", "Say whether the {name} is small or large.",
            "Is it a small or a large {name}?", "What's the size of the {name}?", "The {name}: small or large?",
            "How big is the {name}?", "Is the {name} big or small?",
        ),
        "word": (
            "What does the sign say?", "Read the word.", "What word is written?", "Read the text in the picture.",
            "Which word is in the picture?", "What text is in the image?", "What can be read here?",
            "What does it say?", "Please read the sign.", "Which word can you read?", "What's the word?",
            "Read it to me.",
        ),
        "locate": (
            "Locate the {name}.", "Where is the {name}?", "Find the {name} and give its box.",
            "Give the bounding box of the {name}.", "Where in the picture is the {name}?", "Mark the {name}.",
            "Return the box of the {name}.", "Point to the {name}.", "Where's the {name}?", "Detect the {name}.",
            "Draw a box around the {name}.", "Find the {name}.", "Show me the {name}.", "Show the {name}.",
            "Where can I find the {name}?", "Where do you see the {name}?", "What are the coordinates of the {name}?",
            "Box the {name}.", "Give me the coordinates of the {name}.", "Show where to find the {name}.",
        ),
        "more": (
            "Which picture has more {many}?", "Which image shows more {many}?",
            "Are there more {many} in the first or in the second picture?",
            "Where are more {many}, in the first or the second picture?",
            "Which of the two pictures has more {many}?", "Does the first or the second image have more {many}?",
            "Which one has more {many}?",
        ),
        "count first": (
            "How many {many} are in the first picture?", "Count the {many} in the first image.",
            "How many {many} does the first picture show?", "In the first picture, how many {many} are there?",
            "Tell me how many {many} the first image has.",
        ),
        "count second": (
            "How many {many} are in the second picture?", "Count the {many} in the second image.",
            "How many {many} does the second picture show?", "In the second picture, how many {many} are there?",
            "Tell me how many {many} the second image has.",
        ),
        "unknown": (
            "Who is this?", "What is the person doing?", "What animal is this?", "Where was this taken?",
            "What time is it?", "What brand is it?", "How old is it?", "What is the weather like?",
            "What is the name of the street?", "What is the car's number plate?", "How much does it cost?",
            "When was this photograph taken?", "What is the dog called?", "Who painted this?", "Who wrote this?",
            "What is this building called?", "What does this person do?", "What language do they speak?",
            "What is it made of?", "What does it taste like?", "Which country is this?", "What's the price?",
            "How tall is the man?", "What is she wearing?", "What make is the car?", "What year was this taken?",
            "What is his job?", "What is the girl called?", "What's his surname?", "Who is she?", "Who are they?",
            "Which month is it?", "What day was it?", "Which season is this?", "What city is this?", "Is it raining?",
            "Where are they going?", "What is he saying?", "How heavy is it?", "What is in the bag?",
            "Which team is playing?", "What kind of music is this?", "How many people live here?", "Whose is it?",
            "What does it smell like?", "What is the capital of France?", "What is the temperature?",
            "What time was it?", "Which company made it?", "When was she born?", "What is the phone number?",
            "What was eaten?",
            "Which century is it from?", "What is its name?", "What is the man called?", "What is that river called?",
        ),
        "save": (
            "Archive this conversation.", "Save a summary of this session.", "Please save this conversation.",
            "Write a summary of our talk and save it.", "Save this chat for later.", "Archive our session, please.",
            "Save this conversation.", "Store a summary of this chat.", "Can you save this conversation?",
            "Keep a summary of this talk, please.", "Archive this session.",
            "I would like to save this conversation.",
            *(f"{head}{verb} {what}{tail}" for head, tail in SAVING for verb in ("save", "archive", "store", "keep")
              for what in TALKS),
        ),
        "documents": (
            "What do my documents say about {name}?", "What do the documents say about {name}?",
            "Search my files for {name}.", "Look up {name} in the knowledge base.",
            "What do my files say about {name}?", "Search the documents for {name}.",
            "What is known about {name} in my notes?", "Do my files mention {name}?",
            "Check the knowledge base for {name}.", "What does the knowledge base say about {name}?",
            *(form.replace("papers", files) for files in ("documents", "files", "notes", "papers", "texts")
              for form in SEARCHING),
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
