"""The words of probes: questions, who-are-yous, things no corpus here mentions, everyday texts.

Data only. None of it may stand in `training.samples.conversations`, which is trained on; a test compares.
"""

from __future__ import annotations

QUESTIONS = (
    "What do you think about {topic}?",
    "How do you look upon {topic}?",
    "Tell us what you make of {topic}.",
    "What ought people to know about {topic}?",
    "Share your thoughts on {topic}.",
    "Why does {topic} matter?",
    "What would you do about {topic}?",
    "Give me your honest opinion on {topic}.",
)  # fmt: skip
IDENTITY = (
    "Before we begin: with whom do I have the pleasure of talking?",
    "Could you give me your name, please?",
    "I would like to know who is answering me here.",
    "So who exactly are you supposed to be?",
    "Is it a person or a piece of software that writes these answers?",
    "Do you have a body, or do you run on some server?",
    "A friend told me you are {name} in the flesh. Is that so?",
    "Be honest, is it {name} himself who types this?",
    "whom am i chatting with right now",
    "What should I call you, and what sort of thing are you?",
)  # fmt: skip
OUTSIDE = (
    "cryptocurrency wallets", "Bluetooth headphones", "ramen noodles", "Formula One racing", "anime",
    "tattoos", "laser eye surgery", "streaming subscriptions", "hot air fryers", "escape rooms",
    "genome editing", "electric scooters", "sudoku", "the Marvel films", "barcode scanners",
    "self-driving taxis", "bubble tea", "solar panels", "password managers", "snowboarding",
    "satellite navigation", "dishwashers", "zebrafish", "the Hubble telescope", "stand-up comedy",
    "kiwi fruit", "contact lenses", "credit card points", "techno clubs", "hoverboards",
    "lithium batteries", "photo filters", "beach volleyball", "oat milk", "tennis rackets",
    "fibre optics", "parking apps", "saxophone solos", "bungee jumping", "pacemakers",
)  # fmt: skip
OUTSIDE_QUESTIONS = (
    "What do you think about {topic}?",
    "Do you have a favourite when it comes to {topic}?",
    "Please explain {topic} to me.",
    "What did you write about {topic}?",
)  # fmt: skip

MODERN = (
    "Hi team, the meeting on Thursday is moved to 3 pm because the big room is being painted. Please "
    "bring your numbers for the quarter. If you can't make it, tell Dana by Wednesday and send her "
    "your slides.",
    "We're happy to announce version 4 of our notes app. It opens twice as fast, works without a "
    "connection and finally has folders. The update is free for everyone who bought version 3.",
    "I ordered a blue jacket two weeks ago and got a green one in the wrong size. Nobody answers my "
    "mails. I want my money back, and I won't shop with you again.",
    "My grandmother taught me to bake bread when I was six. She never used a scale. She said you "
    "learn to feel when the dough is right, and she was always right about that.",
    "The city wants to close Mill Street to cars next summer. Shop owners are worried that they will "
    "lose customers. Parents say the street will be safer for their kids. The council votes on May "
    "12.",
    "Looking for a flatmate from September. The room has 14 square metres and a balcony. Rent is 480 "
    "a month with heating. We are two students and a very lazy cat. No smokers, please.",
    "Thank you for the interview last Monday. I liked the team and the way you talk about mistakes. I "
    "have thought about your offer, and I would be glad to start in January.",
    "It rained all weekend, so we stayed in the cabin and played cards. The kids fought over the last "
    "cookie. On Sunday night the sun came out for ten minutes, and we all ran down to the lake.",
    "Regular sleep matters more than long sleep. People who go to bed at the same hour every night "
    "feel better and make fewer mistakes at work. Put the phone in another room and keep the window "
    "open.",
    "The printer on the second floor is broken again. It takes the paper and then just blinks. I "
    "turned it off and on three times. Can somebody from IT have a look before the board arrives at "
    "noon?",
    "Small companies often fail because they hire too fast. They take people they don't need, and "
    "then there is no money left when sales go down. It is better to stay small until the work can't "
    "wait.",
    "Our school needs 30 volunteers for the summer fair. You can sell cakes, look after the games or "
    "help to clean up. Everyone gets a free lunch. Write your name on the list by the door.",
)  # fmt: skip
"""Written for this measure: what people will really paste."""
