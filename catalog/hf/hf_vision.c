/* hf_vision.c owns the weights of the vision towers that are loaded beside a language model.
 * The formulas follow the tower classes in Hugging Face transformers (Kimi: the repository's own); each gives the
 * published total of one checkpoint to the last weight. */
#include "hf/hf_shape.h"

#include <math.h>
#include <string.h>

struct tower {
    const json_t *config;
    double text_hidden;
    bool complete;
};

/* A size of the tower; `fallback` 0: the count is given up without it. A size beyond 10^6 is not believed. */
static double size(struct tower *tower, const char *name, double fallback)
{
    const json_t *value = json_object_get(tower->config, name);
    double number = json_is_number(value) ? json_number_value(value) : fallback;
    if (number > 0 && number <= 1e6 && number == floor(number)) return number;
    tower->complete = false;
    return 1.0;
}

/* A transformer block with biases and two LayerNorms. */
static double block(double width, double inner)
{
    return 4.0 * width * width + 4.0 * width + 2.0 * width * inner + inner + width + 4.0 * width;
}

static double linear(double rows, double columns)
{
    return rows * columns + rows;
}

static double patches(struct tower *tower, double image)
{
    double along = floor(image / size(tower, "patch_size", 14));
    return along * along;
}

static double gemma3(struct tower *tower)
{
    double width = size(tower, "hidden_size", 1152), inner = size(tower, "intermediate_size", 4304);
    double depth = size(tower, "num_hidden_layers", 27), patch = size(tower, "patch_size", 14);
    double positions = patches(tower, size(tower, "image_size", 896));
    double head = 2.0 * width + width * tower->text_hidden + width; /* last norm, projection and its norm */
    return depth * block(width, inner) + linear(width, 3.0 * patch * patch) + positions * width + head;
}

static double llama4(struct tower *tower)
{
    double width = size(tower, "hidden_size", 0), inner = size(tower, "intermediate_size", 0);
    double depth = size(tower, "num_hidden_layers", 0), patch = size(tower, "patch_size", 14);
    double positions = patches(tower, size(tower, "image_size", 0)) + 1.0;
    double in = size(tower, "projector_input_dim", 0), out = size(tower, "projector_output_dim", 0);
    double ratio = json_number_value(json_object_get(tower->config, "pixel_shuffle_ratio"));
    double shuffled = ratio > 0.01 && ratio <= 1.0 ? floor(width / (ratio * ratio)) : 4.0 * width;
    return depth * block(width, inner) + width + positions * width + 3.0 * patch * patch * width + 4.0 * width +
           shuffled * in + in * out + size(tower, "vision_output_dim", 0) * tower->text_hidden;
}

/* Qwen3-VL, Qwen3.5: one merger at the end and one for each layer whose features are injected. */
static double qwen3(struct tower *tower)
{
    double width = size(tower, "hidden_size", 1152), inner = size(tower, "intermediate_size", 4304);
    double depth = size(tower, "depth", 27), patch = size(tower, "patch_size", 16);
    double merge = size(tower, "spatial_merge_size", 2), merged = merge * merge * width;
    double out = size(tower, "out_hidden_size", 0), positions = size(tower, "num_position_embeddings", 2304);
    double volume = size(tower, "in_channels", 3) * size(tower, "temporal_patch_size", 2) * patch * patch;
    double projection = linear(merged, merged) + linear(out, merged);
    double deep = (double)json_array_size(json_object_get(tower->config, "deepstack_visual_indexes"));
    return depth * block(width, inner) + linear(width, volume) + positions * width + 2.0 * width + projection +
           deep * (2.0 * merged + projection);
}

static double qwen2(struct tower *tower)
{
    double width = size(tower, "embed_dim", 1280), inner = width * size(tower, "mlp_ratio", 4);
    double depth = size(tower, "depth", 32), patch = size(tower, "patch_size", 14);
    double merge = size(tower, "spatial_merge_size", 2), merged = merge * merge * width;
    double volume = size(tower, "in_channels", 3) * size(tower, "temporal_patch_size", 2) * patch * patch;
    return depth * block(width, inner) + volume * width + 2.0 * width + linear(merged, merged) +
           linear(tower->text_hidden, merged);
}

static double kimi(struct tower *tower)
{
    double width = size(tower, "vt_hidden_size", 0), inner = size(tower, "vt_intermediate_size", 0);
    double depth = size(tower, "vt_num_hidden_layers", 0), patch = size(tower, "patch_size", 14);
    double positions = size(tower, "init_pos_emb_height", 64) * size(tower, "init_pos_emb_width", 64);
    double merged = 4.0 * width;
    return depth * block(width, inner) + linear(width, 3.0 * patch * patch) + positions * width + 2.0 * width +
           2.0 * width + linear(merged, merged) + linear(tower->text_hidden, merged);
}

/* Llama 3.2 Vision: two transformers, learned positions for each tile and aspect ratio, and the projector. */
static double mllama(struct tower *tower)
{
    double width = size(tower, "hidden_size", 1280), inner = size(tower, "intermediate_size", 5120);
    double depth = size(tower, "num_hidden_layers", 32), gated = size(tower, "num_global_layers", 8);
    double patch = size(tower, "patch_size", 14), tiles = size(tower, "max_num_tiles", 4), ratios = 9.0;
    double positions = patches(tower, size(tower, "image_size", 560)) + 1.0;
    double plain_block = block(width, inner) - 4.0 * width; /* no bias in the attention */
    double tables = width + 1.0 + positions * width + ratios * tiles * positions * width +
                    2.0 * (1.0 + ratios * tiles * width) + 4.0 * width;
    double projector = linear(tower->text_hidden, size(tower, "vision_output_dim", 7680));
    return depth * plain_block + gated * (plain_block + 2.0) + 3.0 * patch * patch * width + tables + projector;
}

static const struct tower_kind {
    const char *top_type;
    double (*count)(struct tower *tower);
    bool profiled; /* measured: the engine runs the tower once at start and keeps what that took */
} kinds[] = {
    {"gemma3", gemma3, true},      {"llama4", llama4, true},       {"kimi_k25", kimi, true},
    {"kimi_vl", NULL, true},       {"mllama", mllama, false},      {"qwen2_vl", qwen2, false},
    {"qwen3_vl", qwen3, false},    {"qwen3_vl_moe", qwen3, false}, {"qwen3_5", qwen3, false},
    {"qwen3_5_moe", qwen3, false},
};

static const struct tower_kind *find_kind(const struct hf_shape *shape)
{
    if (!json_is_object(json_object_get(shape->source.top, "vision_config"))) return NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kinds[i].top_type, shape->top_type) == 0) return &kinds[i];
    }
    return NULL;
}

double hf_vision_count(const struct hf_shape *shape)
{
    const struct tower_kind *kind = find_kind(shape);
    if (!kind || !kind->count) return 0.0;
    struct tower tower = {json_object_get(shape->source.top, "vision_config"), (double)shape->keys[KEY_HIDDEN], true};
    double count = kind->count(&tower);
    return tower.complete && count <= 1e12 ? count : 0.0;
}

bool hf_vision_profiled(const struct hf_shape *shape)
{
    const struct tower_kind *kind = find_kind(shape);
    return kind && kind->profiled;
}
