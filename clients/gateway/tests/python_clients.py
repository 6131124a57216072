"""What people run in Python, against $OPENAI_BASE_URL: the openai package and LangChain's wrapper."""

import base64
import io
import urllib.request

import openai
from langchain_community.utilities.dalle_image_generator import DallEAPIWrapper

PNG = b"\x89PNG\r\n"


def main() -> None:
    client = openai.OpenAI(max_retries=0)
    assert [model.id for model in client.models.list()][:2] == ["emoji", "digits"]
    steps = {"num_inference_steps": 2}
    answer = client.images.generate(model="gpt-image-1", prompt="a red apple", size="auto", extra_body=steps)
    picture = base64.b64decode(answer.data[0].b64_json)
    assert picture.startswith(PNG) and answer.size == "64x64"
    edited = client.images.edit(
        model="gpt-image-1", image=("apple.png", io.BytesIO(picture), "image/png"), prompt="a lemon", extra_body={"num_inference_steps": 2}
    )
    assert base64.b64decode(edited.data[0].b64_json).startswith(PNG)
    stream = client.images.generate(
        model="digits", prompt="7", stream=True, partial_images=1, extra_body={"num_inference_steps": 30}
    )
    types = [event.type for event in stream]
    assert types[-1] == "image_generation.completed" and "image_generation.partial_image" in types, types
    try:
        client.images.generate(model="nothing", prompt="a")
        raise AssertionError("an unknown model was taken")
    except openai.NotFoundError as error:
        assert error.code == "model_not_found"
    # Says model, size, quality and n as they are by default, and reads the URL alone.
    url = DallEAPIWrapper().run("a red apple")
    with urllib.request.urlopen(url) as file:
        assert file.read(6) == PNG
    print("ok")


main()
