{{/* _helpers.tpl owns what objects share: names, labels, images, contexts, where the database is. */}}

{{- define "gpusize.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{/* Short enough for what is put behind it: names of CronJobs have 52 characters. */}}
{{- define "gpusize.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 30 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 30 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 30 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "gpusize.selectorLabels" -}}
app.kubernetes.io/name: {{ include "gpusize.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "gpusize.labels" -}}
{{ include "gpusize.selectorLabels" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | trunc 63 | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: gpusize
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Of pods, by component: (dict "context" $ "component" "server") */}}
{{- define "gpusize.podLabels" -}}
{{ include "gpusize.labels" .context }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "gpusize.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- define "gpusize.probeImage" -}}
{{- $own := .Values.calibration.image -}}
{{- $repository := $own.repository | default .Values.image.repository -}}
{{- if $own.digest -}}
{{ $repository }}@{{ $own.digest }}
{{- else -}}
{{ $repository }}:{{ $own.tag | default (printf "%s-probe" (.Values.image.tag | default .Chart.AppVersion)) }}
{{- end -}}
{{- end }}

{{- define "gpusize.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "gpusize.fullname" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end }}

{{/* What every pod has. Jobs that run before anything else exists cannot have the release's account: pass "account". */}}
{{- define "gpusize.podSpec" -}}
automountServiceAccountToken: false
enableServiceLinks: false
serviceAccountName: {{ .account | default (include "gpusize.serviceAccountName" .context) }}
securityContext:
  {{- toYaml .context.Values.podSecurityContext | nindent 2 }}
{{- with .context.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "gpusize.hasDatabase" -}}
{{- if or .Values.database.existingSecret .Values.cnpg.enabled }}true{{ end -}}
{{- end }}

{{- define "gpusize.cnpgName" -}}
{{ include "gpusize.fullname" . }}-db
{{- end }}

{{/* Where a URL comes from: (dict "context" $ "own" .Values.migration): the component's own Secret, or the service's. */}}
{{- define "gpusize.databaseUrlFrom" -}}
secretKeyRef:
{{- if .own.existingSecret }}
  name: {{ .own.existingSecret }}
  key: {{ .own.urlKey }}
{{- else if .context.Values.database.existingSecret }}
  name: {{ .context.Values.database.existingSecret }}
  key: {{ .context.Values.database.urlKey }}
{{- else }}
  name: {{ include "gpusize.cnpgName" .context }}-app
  key: uri
{{- end }}
{{- end }}

{{- define "gpusize.databaseVolumes" -}}
{{- if .Values.database.caSecret }}
- name: database-ca
  secret: {secretName: {{ .Values.database.caSecret }}, items: [{key: ca.crt, path: ca.crt}]}
{{- end }}
{{- end }}

{{- define "gpusize.databaseMounts" -}}
{{- if .Values.database.caSecret }}
- {name: database-ca, mountPath: /etc/gpusize/database-ca, readOnly: true}
{{- end }}
{{- end }}

{{/* Names that requests may be for. The pod's own address, which Prometheus asks, comes with its environment. */}}
{{- define "gpusize.allowedHosts" -}}
{{- $name := include "gpusize.fullname" . -}}
{{- $namespace := .Release.Namespace -}}
{{- $hosts := list $name (printf "%s.%s" $name $namespace) (printf "%s.%s.svc" $name $namespace) (printf "%s.%s.svc.cluster.local" $name $namespace) -}}
{{- if .Values.ingress.enabled }}{{ $hosts = concat $hosts .Values.ingress.hosts }}{{ end -}}
{{- if .Values.httpRoute.enabled }}{{ $hosts = concat $hosts .Values.httpRoute.hostnames }}{{ end -}}
{{- if has "*" .Values.allowedHosts -}}
*
{{- else -}}
{{- concat $hosts .Values.allowedHosts | uniq | join "," -}}
{{- end -}}
{{- end }}

{{/* The settings file. Numbers come as floats from values: 1e+06 is no whole number. */}}
{{- define "gpusize.settings" -}}
{{- range $name, $value := .Values.settings }}
{{ $name }} = {{ if and (kindIs "float64" $value) (eq (floor $value) $value) }}{{ int64 $value }}{{ else if kindIs "bool" $value }}{{ ternary "on" "off" $value }}{{ else }}{{ $value }}{{ end }}
{{- end }}
{{- end }}

{{/* Whether the migration is an object of the release rather than a hook: a database that the release itself makes is
     there only afterwards. */}}
{{- define "gpusize.migrationIsPlain" -}}
{{- if and .Values.cnpg.enabled (not .Values.database.existingSecret) }}true{{ end -}}
{{- end }}

{{/* Where the release's pods reach its service. */}}
{{- define "gpusize.url" -}}
http://{{ include "gpusize.fullname" . }}.{{ .Release.Namespace }}.svc:{{ .Values.service.port }}
{{- end }}

{{/* Which nodes with GPUs a pod runs on: runtimeClassName, nodeSelector, affinity, tolerations of its values. */}}
{{- define "gpusize.gpuNodes" -}}
{{- with .runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
affinity:
  {{- if .affinity }}
  {{- toYaml .affinity | nindent 2 }}
  {{- else }}
  nodeAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      nodeSelectorTerms: # set by GPU feature discovery, or by node feature discovery alone
        - matchExpressions:
            - {key: nvidia.com/gpu.present, operator: In, values: ["true"]}
        - matchExpressions:
            - {key: feature.node.kubernetes.io/pci-10de.present, operator: In, values: ["true"]}
  {{- end }}
tolerations:
  {{- if hasKey . "tolerations" }}
  {{- toYaml .tolerations | nindent 2 }}
  {{- else }}
  - {key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}
  {{- end }}
{{- end }}
