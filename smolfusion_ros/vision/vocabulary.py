"""Every word that may pass from a picture to a prompt.

What a vision-language model says, or reads on a sign, is text from an untrusted place. It reaches the robot's
language model only translated into these words; a synonym on the left stands for the word on the right.
"""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


POSITIONS = ("left", "centre", "right", "unknown")
EXPRESSIONS = ("neutral", "smiling", "sad", "surprised", "angry", "unknown")
GESTURES = ("none", "waving", "pointing", "unknown")

POSITION_WORDS = {
    "left": "left",
    "lefthand": "left",
    "right": "right",
    "righthand": "right",
    "center": "centre",
    "centre": "centre",
    "middle": "centre",
}

EXPRESSION_WORDS = {
    **dict.fromkeys(("smiling", "smile", "smiles", "happy", "laughing", "grinning", "grin", "cheerful"), "smiling"),
    **dict.fromkeys(("neutral", "serious", "calm", "expressionless"), "neutral"),
    **dict.fromkeys(("sad", "unhappy", "crying", "frowning", "frown", "upset"), "sad"),
    **dict.fromkeys(("surprised", "shocked", "astonished"), "surprised"),
    **dict.fromkeys(("angry", "mad", "furious"), "angry"),
}

GESTURE_WORDS = {
    **dict.fromkeys(("waving", "waves"), "waving"),
    **dict.fromkeys(("pointing", "points"), "pointing"),
}

ONE_PERSON_WORDS = _set(
    "person man woman boy girl child kid baby lady gentleman guy adult teenager human someone somebody individual "
    "toddler"
)
MANY_PERSON_WORDS = _set("people persons men women boys girls children kids adults humans ladies guys")
PRONOUNS = _set("he she they")

COLOURS = ("red", "green", "blue", "yellow", "purple", "white", "black", "orange", "brown", "pink", "grey")
COLOUR_WORDS = {
    **{colour: colour for colour in COLOURS},
    **dict.fromkeys(("gray", "silver"), "grey"),
    **dict.fromkeys(("violet", "lilac"), "purple"),
    **dict.fromkeys(("navy", "turquoise", "cyan", "teal"), "blue"),
    **dict.fromkeys(("maroon", "crimson", "scarlet"), "red"),
    **dict.fromkeys(("beige", "tan", "wooden"), "brown"),
    **dict.fromkeys(("gold", "golden"), "yellow"),
    "magenta": "pink",
    "olive": "green",
}

CLOTHES = ("shirt", "jacket", "sweater", "dress", "coat", "suit", "vest")
CLOTHING_WORDS = {
    **{garment: garment for garment in CLOTHES},
    **dict.fromkeys(("tshirt", "blouse", "top", "polo", "tee"), "shirt"),
    **dict.fromkeys(("hoodie", "sweatshirt", "pullover", "jumper", "cardigan"), "sweater"),
    **dict.fromkeys(("blazer", "jackets"), "jacket"),
    **dict.fromkeys(("shirts", "tshirts"), "shirt"),
    "gown": "dress",
    "uniform": "suit",
}

OBJECTS = _words(
    "cup bottle ball book box plant table chair couch bed desk shelf cabinet door window lamp clock "
    "mirror picture rug pillow blanket television laptop computer keyboard mouse phone tablet remote "
    "headphones glasses hat bag backpack umbrella shoe key wallet watch pen pencil paper newspaper "
    "scissors bowl plate fork knife spoon glass kettle pan fridge oven sink apple banana orange bread "
    "cake pizza sandwich egg fruit flower vase tree toy doll car bicycle bus truck robot guitar piano "
    "camera candle towel basket bucket broom stairs ladder tool hammer cable speaker cat dog bird fish "
    "horse teddy kite helmet coin card whiteboard microwave printer sign"
)

_SYNONYMS = {
    "cup": "mug mugs teacup tumbler",
    "bottle": "flask",
    "ball": "basketball football soccer",
    "book": "books notebook magazine",
    "box": "boxes carton package parcel crate",
    "plant": "houseplant",
    "table": "tabletop countertop counter",
    "chair": "armchair stool bench",
    "couch": "sofa",
    "shelf": "shelves bookshelf bookcase",
    "cabinet": "cupboard drawer dresser wardrobe",
    "picture": "painting poster photo photograph",
    "rug": "carpet mat",
    "pillow": "cushion",
    "television": "tv monitor screen",
    "laptop": "macbook",
    "phone": "smartphone cellphone telephone",
    "headphones": "headset earphones",
    "glasses": "sunglasses eyeglasses",
    "hat": "cap",
    "bag": "handbag purse suitcase",
    "shoe": "shoes sneakers boots",
    "watch": "wristwatch",
    "knife": "knives",
    "sandwich": "sandwiches burger",
    "flower": "flowers bouquet rose",
    "toy": "lego",
    "car": "cars vehicle",
    "bicycle": "bike",
    "cat": "kitten",
    "dog": "puppy",
    "teddy": "teddybear",
    "fridge": "refrigerator",
    "oven": "stove",
    "cable": "wire",
    "bread": "loaf",
}


def _object_words() -> dict[str, str]:
    words = {name: name for name in OBJECTS}
    for name, synonyms in _SYNONYMS.items():
        words.update(dict.fromkeys(synonyms.split(), name))
    for word, name in list(words.items()):
        if not word.endswith("s"):
            words.setdefault(word + ("es" if word.endswith(("ch", "x")) else "s"), name)
    return words


OBJECT_WORDS = _object_words()
NUMBERS = {"two": 2, "both": 2, "three": 3, "four": 4, "five": 5, "several": 3, "couple": 2, "group": 3}
NEGATIONS = _set("no not nobody without never none isn't aren't cannot neither nor")
EVERY_WORD = frozenset(
    (*("person", "nobody", "no", "face", "seen"), *POSITIONS, *EXPRESSIONS, *GESTURES, *COLOURS, *CLOTHES, *OBJECTS)
)
