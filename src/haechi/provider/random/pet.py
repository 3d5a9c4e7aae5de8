"""random_pet."""

from __future__ import annotations

import secrets
from typing import Any

from haechi.provider.random.common import KEEPERS, nothing
from haechi.provider.resource import Data, Resource, words
from haechi.provider.schema import between, optional
from haechi.provider.types import NUMBER

_ADVERBS = words("""
    barely boldly briefly broadly calmly clearly closely deeply eagerly early easily evenly fairly finely firmly fully gently gladly
    greatly happily highly jointly kindly lightly loudly merely mildly mostly neatly nicely openly partly plainly promptly quickly
    quietly rarely readily really rightly safely seldom simply slowly smoothly softly solely steadily strongly subtly surely terribly
    truly truthly usually vaguely vastly warmly weekly wholly widely wildly wisely
""")
_ADJECTIVES = words("""
    able active alert amazing ample apt artful awake aware balanced becoming bold brave bright brief busy calm careful casual central
    certain charming chief civil classic clean clear clever close cool cosmic crisp cunning curious cute daring dear deep direct
    driven eager early easy elegant eternal exact fair faithful famous fancy fast fine firm fit fleet fluent fond free fresh full
    gentle giving glad golden good grand grateful great happy hardy helpful heroic honest humble ideal intent joint just keen kind
    known large lasting legal light liked literate live living logical loved loyal lucky mature meet mighty modern modest moral native
    neat neutral new nice noble normal notable novel on open optimum outgoing patient perfect picked pleasant poetic polished polite
    popular positive precious prepared pretty prime proper proud prudent pumped quick quiet rapid rare ready real refined relaxed
    renewed rested rich robust safe sacred secure select selected sharp shining simple sincere singular skilled smart smiling social
    solid sound special square stable steady strong stunning subtle suited summary sunny super supreme sure sweet tender tidy tight
    top touched true trusted unified united usable useful valid valued vast viable vital vocal warm welcome wise witty working worthy
""")
_NAMES = words("""
    adder akita albacore alien anchovy ant antelope ape asp baboon badger barnacle bass bat bear beagle beetle bengal bird bison boar
    bobcat buck buffalo bull bunny burro buzzard calf camel caribou cat catfish cattle cheetah chicken chimp chipmunk clam cobra cod
    collie colt condor coral cougar cow coyote crab crane cricket crow cub deer dingo doberman dodo doe dog dogfish dolphin donkey
    dove dragon drake drum duck eagle earwig eel egret elephant elf elk emu ewe falcon fawn feline ferret finch firefly fish flamingo
    flea fly foal fox frog gannet gar garfish gazelle gecko ghost gibbon giraffe glider gnat gnu goat goblin goldfish goose gopher
    grackle griffon grouper grouse grubworm guinea gull guppy haddock hagfish halibut hamster hare hawk hedgehog hen heron herring
    hippo hog honeybee hookworm hornet horse hound husky hyena ibex iguana imp impala insect jackal jackass jaguar javelin jay jaybird
    jennet joey kangaroo katydid kid killdeer kingfish kit kite kitten kiwi koala kodiak koi krill lab lacewing ladybird lamb lamprey
    lark leech lemming lemur leopard lion lioness lizard llama lobster locust longhorn loon louse lynx macaque macaw mackerel maggot
    magpie mako malamute mallard mammal mammoth man manatee mantis marlin marmoset marmot marten martin mastiff mastodon mayfly
    meerkat midge mink minnow mite moccasin mole mollusk monarch mongoose monitor monkey monkfish monster moose moray mosquito moth
    mouse mudfish mule mullet muskox muskrat mustang narwhal newt octopus opossum orca oriole oryx osprey ostrich owl ox oyster panda
    pangolin panther parakeet parrot peacock pegasus pelican penguin perch pheasant phoenix pig pigeon piglet pika pipefish piranha
    platypus polecat pony possum prawn primate puma pup python quagga quail rabbit raccoon ram raptor rat rattler raven ray redbird
    redfish reindeer reptile rhino robin rodent rooster roughy sailfish salmon satyr sawfish sawfly scorpion sculpin seagull seahorse
    seal serval shad shark sheep sheepdog shepherd shiner shrew shrimp silkworm skink skunk skylark sloth slug snail snake snapper
    snipe sole sparrow spider sponge squid squirrel stag stallion starfish starling stingray stinkbug stork stud sturgeon sunbeam
    sunbird sunfish swan swift swine tadpole tahr tapir tarpon teal termite terrapin terrier tetra thrush tick tiger titmouse toad
    tomcat tortoise toucan treefrog trout tuna turkey turtle unicorn urchin viper vervet vulture wahoo wallaby walleye walrus warthog
    wasp weasel weevil werewolf whale whippet wildcat wolf wombat woodcock worm wren yak yeti zebra
""")


def _create(context: Any, d: Data) -> None:
    words = max(int(d["length"]), 1)
    before_name = [secrets.choice(_ADVERBS) for _ in range(words - 2)] + [secrets.choice(_ADJECTIVES)] * (words > 1)
    pieces = [d["prefix"]] if d["prefix"] else []
    d.id = str(d["separator"] or "").join([*pieces, *before_name, secrets.choice(_NAMES)])


RESOURCE = Resource(
    fields={
        "keepers": KEEPERS,
        "length": optional(NUMBER, default=2, force_new=True, check=between(1, 64)),
        "prefix": optional(force_new=True),
        "separator": optional(default="-", force_new=True),
    },
    create=_create,
    read=nothing,
    delete=nothing,
    import_id=None,
)
