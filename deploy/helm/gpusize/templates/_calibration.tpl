{{/* _calibration.tpl owns the pod that measures GPUs and uploads what it found. */}}

{{- define "gpusize.calibrationPod" -}}
{{- $values := .context.Values.calibration -}}
{{- $kind := .kind -}}
metadata:
  labels:
    {{- include "gpusize.podLabels" (dict "context" .context "component" "calibration") | nindent 4 }}
    gpusize/kind: {{ $kind.name }}
spec:
  {{- include "gpusize.podSpec" (dict "context" .context) | nindent 2 }}
  {{- if ne $values.mode "DaemonSet" }}
  restartPolicy: Never
  {{- end }}
  containers:
    - name: calibrate
      image: {{ include "gpusize.probeImage" .context }}
      imagePullPolicy: {{ .context.Values.image.pullPolicy }}
      command: [gpusize-calibrate]
      {{- with $values.arguments }}
      args:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      env:
        - name: GPUSIZE_UPLOAD_URL
          value: {{ $values.url | default (include "gpusize.url" .context) }}
        - {name: GPUSIZE_UPLOAD_KEY_FILE, value: /etc/gpusize/key/{{ $values.secretKey }}}
        - {name: GPUSIZE_POOL, value: {{ $kind.pool | default $kind.name | quote }}}
        - name: NODE_NAME
          valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
        {{- if eq $values.mode "DaemonSet" }}
        - {name: GPUSIZE_INTERVAL_S, value: {{ mul $values.intervalHours 3600 | quote }}}
        - {name: NVIDIA_VISIBLE_DEVICES, value: all}
        - {name: NVIDIA_DRIVER_CAPABILITIES, value: "compute,utility"}
        {{- end }}
      resources:
        {{- if eq $values.mode "DaemonSet" }}
        {{- toYaml $values.resources | nindent 8 }}
        {{- else }}
        {{- $gpus := dict "limits" (dict "nvidia.com/gpu" (int ($kind.gpus | default 1))) }}
        {{- toYaml (mergeOverwrite (deepCopy $values.resources) $gpus) | nindent 8 }}
        {{- end }}
      securityContext:
        {{- toYaml .context.Values.securityContext | nindent 8 }}
      volumeMounts:
        - {name: key, mountPath: /etc/gpusize/key, readOnly: true}
        - {name: tmp, mountPath: /tmp}
  volumes:
    - name: key
      secret: {secretName: {{ $values.existingSecret }}, defaultMode: 0440}
    - name: tmp
      emptyDir: {sizeLimit: 64Mi}
  {{- include "gpusize.gpuNodes" $kind | nindent 2 }}
{{- end }}
{{- define "gpusize.calibrationJob" -}}
backoffLimit: 2
activeDeadlineSeconds: {{ .context.Values.calibration.activeDeadlineSeconds }}
ttlSecondsAfterFinished: 86400
template:
  {{- include "gpusize.calibrationPod" . | nindent 2 }}
{{- end }}
