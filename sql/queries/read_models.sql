copy (
    select id, family, architecture, parameters, active_parameters, vision_parameters, layers, hidden_size,
        attention_heads, kv_heads, head_dim, intermediate_size, vocabulary_size, tied_embeddings::text,
        max_position_tokens, attention_kind, sliding_window_tokens, chunked::text, full_attention_layers,
        sliding_layers, linear_layers, kv_lora_rank, qk_rope_head_dim, qk_nope_head_dim, v_head_dim, q_lora_rank,
        experts, experts_per_token, shared_experts, moe_intermediate_size, shared_expert_intermediate_size,
        dense_layers, native_dtype, ssm_state_elements, conv_state_elements, ssm_state_element_bytes,
        native_multimodal::text, encoder_only::text, license, source, note, to_char(as_of, 'YYYY-MM-DD') as as_of,
        from_version as version
      from gpusize.model
     where from_version <= gpusize.reading() and (to_version is null or to_version > gpusize.reading())
) to stdout (format csv, header)
