"""The words of the demo catalogue: what each topic is about and how each mood speaks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TopicWords:
    """Phrases of one topic; `{subject}` in an opening is replaced by a subject in lower case."""

    label: str
    subjects: tuple[str, ...]
    places: tuple[str, ...]
    openings: tuple[str, ...]
    details: tuple[str, ...]


@dataclass(frozen=True)
class MoodWords:
    """How one mood colours a title and a description."""

    adjectives: tuple[str, ...]
    sentences: tuple[str, ...]


TOPIC_WORDS: dict[str, TopicWords] = {
    "mountains": TopicWords(
        label="Mountains",
        subjects=(
            "Ridge path", "Glacier hut", "Snow summit", "Granite wall", "Alpine pass", "Goat trail",
            "Cirque lake", "Scree slope", "North face", "Larch valley", "Stone cairn", "High plateau",
        ),
        places=(
            "above the tree line", "at three thousand metres", "under the snowfields",
            "between two peaks", "on the old border", "over the valley",
        ),
        openings=(
            "Climbing towards the {subject} with rope, boots and a thermos",
            "A hiker's map of the {subject} and the peaks around it",
            "Two days of walking lead up to the {subject}",
            "How rock and ice made the {subject}",
            "The {subject} seen from the opposite summit",
        ),
        details=(
            "Snow lies in the gullies until August and marmots whistle from the boulders.",
            "The last steep metres are secured with iron rungs and a steel cable.",
            "From the top you can count eleven summits and two glaciers.",
            "Mountaineers rest here before the final ascent.",
            "The trail zigzags through pines, then only rock and thin air remain.",
            "Ibex cross the slope in single file.",
            "Below, the valley disappears under a lid of cloud.",
        ),
    ),
    "ocean": TopicWords(
        label="Ocean",
        subjects=(
            "Harbour light", "Coral reef", "Fishing boat", "Humpback whale", "Tide pool", "Sandbank",
            "Sailing yacht", "Kelp forest", "Pelican pier", "Surf break", "Lagoon crossing", "Cliff bay",
        ),
        places=(
            "off the western cape", "at low tide", "beyond the breakwater", "in the trade winds",
            "along the salt coast", "past the last buoy",
        ),
        openings=(
            "Waves roll past the {subject} all day long",
            "A sailor's log about the {subject} and the open sea",
            "Diving down beside the {subject} into blue water",
            "The {subject} between two tides, with salt on the lens",
            "Seabirds circle over the {subject}",
        ),
        details=(
            "Dolphins follow the bow and leave a trail of foam.",
            "The current carries plankton, jellyfish and once in a while a turtle.",
            "Nets dry on the deck while gulls wait for their share of the catch.",
            "At night the water glows where the oars touch it.",
            "Every seventh wave is taller and reaches the dunes.",
            "The anchor chain rattles down to a sandy sea floor.",
            "Spray and seaweed cover the rocks along the shore.",
        ),
    ),
    "city": TopicWords(
        label="City nights",
        subjects=(
            "Neon avenue", "Rooftop bar", "Taxi rank", "Glass tower", "Corner kiosk", "Bridge lights",
            "Subway exit", "Midnight market", "Crosswalk", "Skyline view", "Hotel lobby", "Parking deck",
        ),
        places=(
            "in the old town", "after midnight", "on the forty-second floor", "by the river bank",
            "in the theatre district", "behind the main square",
        ),
        openings=(
            "Headlights stream past the {subject} long after dark",
            "A night walk downtown that ends at the {subject}",
            "The {subject} between skyscrapers and street lamps",
            "Who is still awake around the {subject} at two in the morning",
            "Photographing the {subject} in the urban night",
        ),
        details=(
            "Thousands of windows are lit and nobody knows their neighbour.",
            "Taxis honk, traffic lights change, a siren passes three blocks away.",
            "Shop signs mirror themselves in the wet asphalt.",
            "Crowds spill from the cinemas into the boulevards.",
            "The last bus leaves full of waiters and night nurses.",
            "Above the roofs, aircraft warning lights blink red.",
            "A food stall sells dumplings to people leaving the clubs.",
        ),
    ),
    "jazz": TopicWords(
        label="Jazz",
        subjects=(
            "Tenor saxophone", "Walking bass", "Piano trio", "Muted trumpet", "Brushed drums", "Blue note",
            "Big band", "Swing ballad", "Scat chorus", "Bebop quintet", "Cellar session", "Clarinet solo",
        ),
        places=(
            "in the basement club", "in B flat", "on Basin Street", "for five players",
            "at the second set", "from the vinyl crate",
        ),
        openings=(
            "The {subject} takes a long improvised solo",
            "A jazz evening built around the {subject}",
            "Four musicians trade choruses over the {subject}",
            "What makes the {subject} swing",
            "Live recording of the {subject} with applause after every solo",
        ),
        details=(
            "The drummer keeps a swinging ride cymbal while the double bass walks.",
            "Syncopated chords answer the horn line, all sevenths and ninths.",
            "The quartet quotes an old standard and then leaves the melody behind.",
            "Saxophone and trumpet play the theme in unison, then improvise.",
            "The pianist comps behind the beat like the greats of bebop.",
            "Blues in the left hand, bebop in the right.",
            "The record label pressed three hundred copies for collectors.",
        ),
    ),
    "techno": TopicWords(
        label="Techno",
        subjects=(
            "Warehouse set", "Acid line", "Drum machine", "Modular synth", "Laser tunnel", "Minimal loop",
            "Bass drop", "Strobe floor", "Club mixer", "Sawtooth lead", "Sunrise rave", "Sub bass",
        ),
        places=(
            "at 132 beats a minute", "in the concrete hall", "on the main floor", "for ten hours",
            "with two turntables", "from the modular rack",
        ),
        openings=(
            "The {subject} pushes a straight kick drum through the sound system",
            "A DJ explains how the {subject} is programmed",
            "The rave crowd moves as one to the {subject}",
            "Building electronic tension with the {subject}",
            "The {subject} from a night of electronic dance music",
        ),
        details=(
            "Four-on-the-floor kicks, off-beat hi-hats and a filter that opens slowly.",
            "The synthesizer repeats sixteen steps while the resonance climbs.",
            "Lasers cut the fog and the subwoofers move the air.",
            "The DJ blends two records until nobody can tell them apart.",
            "A sequencer drives the oscillators without a single human mistake.",
            "Clubbers dance in front of the stacked loudspeakers.",
            "The beat drops out for eight bars and returns with more bass.",
        ),
    ),
    "cooking": TopicWords(
        label="Cooking",
        subjects=(
            "Tomato soup", "Sourdough loaf", "Saffron risotto", "Fried egg", "Herb omelette", "Apple pie",
            "Lentil curry", "Mushroom pasta", "Stone-oven pizza", "Roast pumpkin", "Noodle broth", "Lemon tart",
        ),
        places=(
            "in one pan", "with garden herbs", "for six guests", "from the wood stove",
            "with brown butter", "in half an hour",
        ),
        openings=(
            "A recipe for {subject}, step by step",
            "The cook prepares {subject} from fresh market ingredients",
            "Everything you need to know to make {subject} at home",
            "Chopping, stirring and tasting: {subject}",
            "In the kitchen with a chef who serves {subject}",
        ),
        details=(
            "Onions and garlic sizzle in olive oil until they turn golden.",
            "Season with salt, pepper and a spoonful of vinegar before serving.",
            "The dough rests for an hour under a damp cloth.",
            "Butter foams, basil is torn by hand, cheese melts on top.",
            "Simmer on a low flame and skim the broth twice.",
            "The knife runs through carrots, celery and parsley.",
            "Bake in a hot oven until the crust is crisp.",
        ),
    ),
    "space": TopicWords(
        label="Space",
        subjects=(
            "Ringed planet", "Comet tail", "Lunar base", "Spiral galaxy", "Red dwarf", "Deep-space probe",
            "Orbital station", "Solar flare", "Ice moon", "Star nursery", "Meteor shower", "Radio telescope",
        ),
        places=(
            "beyond Neptune", "at a million kilometres", "in low orbit", "through the eyepiece",
            "on the far side", "across four light years",
        ),
        openings=(
            "Astronomers point their telescope at the {subject}",
            "A spacecraft sends its first pictures of the {subject}",
            "The physics of the {subject} for curious stargazers",
            "An astronaut describes the {subject} from the porthole",
            "Gravity, dust and light around the {subject}",
        ),
        details=(
            "Its light left before the pyramids were built.",
            "The rocket drops its second stage and coasts in vacuum.",
            "Nebulae of hydrogen glow where new stars ignite.",
            "Telemetry arrives as a thin beeping at the edge of the noise.",
            "Craters, rings and small moons show up in the infrared image.",
            "The orbit takes eleven years and passes Jupiter twice.",
            "The galaxy holds two hundred billion suns.",
        ),
    ),
    "gardens": TopicWords(
        label="Gardens",
        subjects=(
            "Rose arch", "Tulip bed", "Herb spiral", "Lily pond", "Greenhouse", "Wild meadow",
            "Apple orchard", "Boxwood maze", "Bee hotel", "Sunflower row", "Fern corner", "Vegetable patch",
        ),
        places=(
            "behind the cottage", "in late May", "by the brick wall", "under the cherry tree",
            "on the south side", "after the spring rain",
        ),
        openings=(
            "The {subject} in full bloom",
            "A gardener's diary about planting the {subject}",
            "Pruning, watering and waiting: the {subject}",
            "Bees and butterflies visit the {subject}",
            "How to grow the {subject} from seed",
        ),
        details=(
            "Blackbirds sing in the hedge while petals fall on the gravel.",
            "Compost, mulch and a little bone meal feed the roots.",
            "Lavender and peonies flower next to each other.",
            "The watering can stands ready beside the seedlings.",
            "Bumblebees crawl into the foxgloves.",
            "Cut the stems above a bud and new blossoms follow.",
            "Ladybirds keep the leaves free of aphids.",
        ),
    ),
    "football": TopicWords(
        label="Football",
        subjects=(
            "Penalty kick", "Derby match", "Corner flag", "Goalkeeper save", "Free kick", "Cup final",
            "Extra time", "Counter attack", "Youth team", "Half-time talk", "Away stand", "Diving header",
        ),
        places=(
            "in the ninetieth minute", "under the floodlights", "on the muddy pitch", "at the old stadium",
            "with ten men", "before the home crowd",
        ),
        openings=(
            "The {subject} that decided the league match",
            "Fans in scarves sing through the {subject}",
            "A coach analyses the {subject} frame by frame",
            "The striker, the referee and the {subject}",
            "The {subject} retold by both captains of the football club",
        ),
        details=(
            "The ball curls around the wall and into the top corner.",
            "Midfielders press high and the back four steps up for offside.",
            "The referee whistles, the crowd roars, the net bulges.",
            "Forty thousand supporters jump on the terraces.",
            "A cross from the left wing finds the striker unmarked.",
            "Two yellow cards and a goal in stoppage time.",
            "The team warms up while the groundsman paints the touchline.",
        ),
    ),
    "trains": TopicWords(
        label="Trains",
        subjects=(
            "Steam locomotive", "Sleeper express", "Mountain tram", "Signal box", "Freight wagon", "Dining car",
            "Branch line", "Railway viaduct", "Station clock", "Tank engine", "Platform nine", "Level crossing",
        ),
        places=(
            "on the northern line", "between two tunnels", "at the junction", "on narrow gauge",
            "past the water tower", "by the night timetable",
        ),
        openings=(
            "The {subject} and the railway that runs past it",
            "Riding the rails to see the {subject}",
            "A train driver explains the {subject}",
            "Timetables, tickets and the {subject}",
            "The {subject} photographed from the carriage window",
        ),
        details=(
            "Pistons hiss, wheels clatter over the joints, the whistle blows twice.",
            "The conductor punches tickets between the second and the third carriage.",
            "Points are switched and the signal drops to green.",
            "Coal is shovelled into the firebox before the gradient.",
            "The locomotive pulls twelve coaches over the viaduct.",
            "Passengers lean out of the windows as the platform slides away.",
            "Sleepers and ballast were renewed along the track.",
        ),
    ),
}  # fmt: skip

MOOD_WORDS: dict[str, MoodWords] = {
    "serene": MoodWords(
        adjectives=("Quiet", "Hushed", "Gentle", "Peaceful", "Unhurried", "Silent"),
        sentences=(
            "Everything is calm and slow, and nobody needs to hurry.",
            "A peaceful, soothing piece that helps you breathe out and relax.",
            "Soft silence fills the pauses; it is almost a meditation.",
            "Tranquil and gentle from beginning to end, made for resting.",
            "Stillness settles over the scene and the mind grows quiet.",
            "A restful hour of calm, tender and perfectly at ease.",
        ),
    ),
    "stormy": MoodWords(
        adjectives=("Furious", "Raging", "Wild", "Thundering", "Reckless", "Brutal"),
        sentences=(
            "Thunder, danger and fury: everything happens at full force.",
            "Fierce and violent, it never lets the tension go.",
            "Lightning strikes close by and hearts race with fear.",
            "A dramatic struggle, dark, loud and merciless.",
            "Rage and adrenaline drive it on, right to the edge of disaster.",
            "It is a desperate fight against the storm.",
        ),
    ),
    "nostalgic": MoodWords(
        adjectives=("Remembered", "Bygone", "Grandfather's", "Old-time", "Faded", "Long-lost"),
        sentences=(
            "It brings back childhood memories of how things used to be.",
            "Grandmother kept the faded photograph in a drawer for fifty years.",
            "A wistful look back at a vanished time, long before we were born.",
            "Old letters tell of the good old days and of friends now gone.",
            "Everything smells of yesterday; one longs for the past.",
            "Nostalgic and bittersweet, like a home movie from the fifties.",
        ),
    ),
    "playful": MoodWords(
        adjectives=("Silly", "Cheeky", "Giggling", "Funny", "Mischievous", "Wacky"),
        sentences=(
            "A hilarious joke is hidden in every corner, and children giggle.",
            "Silly hats, pranks and laughter: nobody can stay serious.",
            "It is goofy, cheerful fun with a wink at the end.",
            "Expect comedy, slapstick and a very cheeky parrot.",
            "A playful party game for everyone who likes to laugh.",
            "Mischievous and funny, it tickles you until you grin.",
        ),
    ),
}

PLAIN_SENTENCES: tuple[str, ...] = (
    "It comes in three parts with short captions.",
    "An index and a list of sources are included.",
    "The second half goes into more detail.",
    "Names, dates and measurements are given in a table.",
    "It was recorded in one session and edited afterwards.",
    "Suitable for beginners and for people who know the subject.",
)
