"""The provider hashicorp/random: values chosen once and kept in the state. https://github.com/hashicorp/terraform-provider-random"""

from haechi.provider.random import identifiers, integer, pet, shuffle, strings
from haechi.provider.resource import Provider

PROVIDER = Provider(
    name="random",
    fields={},
    configure=lambda config: None,
    resources={
        "random_id": identifiers.ID,
        "random_integer": integer.RESOURCE,
        "random_password": strings.PASSWORD,
        "random_pet": pet.RESOURCE,
        "random_shuffle": shuffle.RESOURCE,
        "random_string": strings.STRING,
        "random_uuid": identifiers.UUID,
    },
    data_sources={},
)
