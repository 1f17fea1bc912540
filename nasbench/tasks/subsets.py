"""Tasks cut from larger ones: which classes belong to which.

SUPERCLASSES are CIFAR-100's 20 published superclasses of five classes each (Krizhevsky 2009;
https://www.cs.toronto.edu/~kriz/cifar.html). TINY_TENS are the 100 classes of tinyimagenet100 in the order of their
WordNet numbers, ten by ten: neighbours there are of one kind (frogs and spiders, dogs, apes, furniture), so the
ten tasks differ.
"""

import re

SUPERCLASSES: dict[str, tuple[str, ...]] = {
    "aquatic_mammals": ("beaver", "dolphin", "otter", "seal", "whale"),
    "fish": ("aquarium_fish", "flatfish", "ray", "shark", "trout"),
    "flowers": ("orchid", "poppy", "rose", "sunflower", "tulip"),
    "food_containers": ("bottle", "bowl", "can", "cup", "plate"),
    "fruit_and_vegetables": ("apple", "mushroom", "orange", "pear", "sweet_pepper"),
    "household_electrical_devices": ("clock", "keyboard", "lamp", "telephone", "television"),
    "household_furniture": ("bed", "chair", "couch", "table", "wardrobe"),
    "insects": ("bee", "beetle", "butterfly", "caterpillar", "cockroach"),
    "large_carnivores": ("bear", "leopard", "lion", "tiger", "wolf"),
    "large_man_made_outdoor_things": ("bridge", "castle", "house", "road", "skyscraper"),
    "large_natural_outdoor_scenes": ("cloud", "forest", "mountain", "plain", "sea"),
    "large_omnivores_and_herbivores": ("camel", "cattle", "chimpanzee", "elephant", "kangaroo"),
    "medium_sized_mammals": ("fox", "porcupine", "possum", "raccoon", "skunk"),
    "non_insect_invertebrates": ("crab", "lobster", "snail", "spider", "worm"),
    "people": ("baby", "boy", "girl", "man", "woman"),
    "reptiles": ("crocodile", "dinosaur", "lizard", "snake", "turtle"),
    "small_mammals": ("hamster", "mouse", "rabbit", "shrew", "squirrel"),
    "trees": ("maple_tree", "oak_tree", "palm_tree", "pine_tree", "willow_tree"),
    "vehicles_1": ("bicycle", "bus", "motorcycle", "pickup_truck", "train"),
    "vehicles_2": ("lawn_mower", "rocket", "streetcar", "tank", "tractor"),
}

_TINY = """
n01443537 n01629819 n01641577 n01644900 n01698640 n01742172 n01768244 n01770393 n01774384 n01774750
n01784675 n01855672 n01882714 n01910747 n01917289 n01944390 n01945685 n01950731 n01983481 n01984695
n02002724 n02056570 n02058221 n02074367 n02085620 n02094433 n02099601 n02099712 n02106662 n02113799
n02123045 n02123394 n02124075 n02125311 n02129165 n02132136 n02165456 n02190166 n02206856 n02226429
n02231487 n02233338 n02236044 n02268443 n02279972 n02281406 n02321529 n02364673 n02395406 n02403003
n02410509 n02415577 n02423022 n02437312 n02480495 n02481823 n02486410 n02504458 n02509815 n02666196
n02669723 n02699494 n02730930 n02769748 n02788148 n02791270 n02793495 n02795169 n02802426 n02808440
n02814533 n02814860 n02815834 n02823428 n02837789 n02841315 n02843684 n02883205 n02892201 n02906734
n02909870 n02917067 n02927161 n02948072 n02950826 n02963159 n02977058 n02988304 n02999410 n03014705
n03026506 n03042490 n03085013 n03089624 n03100240 n03126707 n03160309 n03179701 n03201208 n03250847
"""
TINY_TENS: dict[int, tuple[str, ...]] = {
    number: tuple(line.split()) for number, line in enumerate(_TINY.strip().splitlines())
}

IMAGENET = {"ImageNet16-120", "tinyimagenet100"}
"""Data sets of images from ImageNet."""

_FAMILIES = {
    **{f"cifar100_{name}": "cifar100" for name in SUPERCLASSES},
    **{f"tinyimagenet100_{number}": "tinyimagenet100" for number in TINY_TENS},
}


def _plain(name: str) -> str:
    """Without case, hyphens and the like: CIFAR-10 is cifar10."""
    return re.sub(r"[\s_-]", "", name).lower()


_WHOLE = ("cifar10", "mnist", "fashion_mnist", "digits")
_KNOWN = {_plain(name): name for name in (*_FAMILIES, *_FAMILIES.values(), *IMAGENET, *_WHOLE)}


def _known(name: str) -> str:
    """The built-in task or data set that a name is of, however it is written; else the name itself."""
    return _KNOWN.get(_plain(name), name)


def data_set(task: str) -> str:
    """The data set that a task's images are from: the task itself, unless it is cut from a larger one."""
    return _FAMILIES.get(_known(task), _known(task))


def share_images(first: str, second: str) -> bool:
    """Whether two tasks are the same, or one is cut from the other; tasks of the same cut have no class in common.

    Tiny ImageNet's classes are among ImageNet's, some of them among the 120 of ImageNet16-120.
    """
    one, other = data_set(first), data_set(second)
    whole = _known(first), _known(second)
    return whole[0].lower() == whole[1].lower() or one == whole[1] or other == whole[0] or {one, other} == IMAGENET


def same_data_set(first: str, second: str) -> bool:
    """Whether two tasks' images are from one data set."""
    return data_set(first) == data_set(second) or share_images(first, second)
