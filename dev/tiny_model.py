"""Writes a llama model with random weights: OUT/model.gguf, and OUT/tokenizer.json beside it.

It speaks nonsense, but the same nonsense on every machine: weights and vocabulary come from one seed, so that greedy tokens
can be recorded and compared between servers. Called by `dev/tiny-model`.
"""

import argparse
import dataclasses
import json
import pathlib

import gguf
import numpy
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

SEED = 7
CONTEXT = 2048
VOCABULARY = 512
ROPE_BASE = 10000.0
NORM_EPSILON = 1e-5
END_OF_TEXT, TURN_START, TURN_END = SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
WORDS = (
    "the quick brown fox jumps over lazy dog worker gateway stream token cache slot queue session state "
    "journal event actor model prompt answer system user assistant hello world rust message broker"
).split()
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@dataclasses.dataclass(frozen=True)
class Shape:
    width: int
    layers: int
    heads: int
    kv_heads: int

    @property
    def head_width(self) -> int:
        return self.width // self.heads

    @property
    def feed_forward(self) -> int:
        return 2 * self.width


SHAPES = {
    "tiny": Shape(width=64, layers=2, heads=2, kv_heads=1),
    # 19 million parameters: some hundred tokens a second, slow enough to be cancelled on its way.
    "slow": Shape(width=512, layers=8, heads=8, kv_heads=4),
}


def train_tokenizer() -> Tokenizer:
    """A byte-level BPE, trained on sentences of random words; llama.cpp knows its splitting as "gpt-2"."""
    random = numpy.random.default_rng(SEED)
    sentences = [" ".join(random.choice(WORDS, size=12)) + "." for _ in range(400)]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=SPECIALS,
        show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    tokenizer.train_from_iterator(sentences, trainer)
    return tokenizer


def rotary(weights: numpy.ndarray, heads: int) -> numpy.ndarray:
    """Rows in the order in which ggml turns them: the two halves of a head interleaved."""
    rows, columns = weights.shape
    return weights.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def tensors(shape: Shape, vocabulary: int):
    """Yields all tensors by name. What is drawn when decides what the model says: the order must stay."""
    random = numpy.random.default_rng(SEED)
    width, scale = shape.width, shape.width**-0.5
    queries, keys = shape.heads * shape.head_width, shape.kv_heads * shape.head_width

    def drawn(rows: int, columns: int, deviation: float = scale) -> numpy.ndarray:
        return (random.standard_normal((rows, columns)) * deviation).astype(numpy.float32)

    ones = numpy.ones(width, numpy.float32)
    yield "token_embd", drawn(vocabulary, width, 1.0)
    for number in range(shape.layers):
        layer = f"blk.{number}"
        yield f"{layer}.attn_norm", ones
        yield f"{layer}.attn_q", rotary(drawn(queries, width), shape.heads)
        yield f"{layer}.attn_k", rotary(drawn(keys, width), shape.kv_heads)
        yield f"{layer}.attn_v", drawn(keys, width)
        yield f"{layer}.attn_output", drawn(width, queries, queries**-0.5)
        yield f"{layer}.ffn_norm", ones
        yield f"{layer}.ffn_gate", drawn(shape.feed_forward, width)
        yield f"{layer}.ffn_up", drawn(shape.feed_forward, width)
        yield f"{layer}.ffn_down", drawn(width, shape.feed_forward, shape.feed_forward**-0.5)
    yield "output_norm", ones
    output = drawn(vocabulary, width, scale * 2.0)
    # The special tokens hardly ever win, so an answer runs to its token limit.
    output[: len(SPECIALS)] *= 0.01
    yield "output", output


def describe(writer: gguf.GGUFWriter, shape: Shape, vocabulary: int) -> None:
    writer.add_name("tiny-random-llama")
    writer.add_description("random weights, for protocol tests only")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_width)
    writer.add_value_length(shape.head_width)
    writer.add_rope_dimension_count(shape.head_width)
    writer.add_rope_freq_base(ROPE_BASE)
    writer.add_layer_norm_rms_eps(NORM_EPSILON)
    writer.add_vocab_size(vocabulary)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)


def describe_tokenizer(writer: gguf.GGUFWriter, tokenizer: Tokenizer) -> None:
    by_id = sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1])
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    end_of_text, turn_end = tokenizer.token_to_id(END_OF_TEXT), tokenizer.token_to_id(TURN_END)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([token for token, _ in by_id])
    writer.add_token_types([control if token in SPECIALS else normal for token, _ in by_id])
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in merges])
    writer.add_bos_token_id(end_of_text)
    writer.add_eos_token_id(turn_end)
    writer.add_eot_token_id(turn_end)
    writer.add_pad_token_id(end_of_text)
    writer.add_unk_token_id(end_of_text)
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def write(out: pathlib.Path, shape: Shape) -> None:
    tokenizer = train_tokenizer()
    vocabulary = tokenizer.get_vocab_size()
    out.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(out / "tokenizer.json"))
    writer = gguf.GGUFWriter(out / "model.gguf", "llama")
    describe(writer, shape, vocabulary)
    describe_tokenizer(writer, tokenizer)
    for name, weights in tensors(shape, vocabulary):
        writer.add_tensor(f"{name}.weight", numpy.ascontiguousarray(weights))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("kind", choices=SHAPES)
    arguments.add_argument("out", type=pathlib.Path)
    given = arguments.parse_args()
    write(given.out, SHAPES[given.kind])
