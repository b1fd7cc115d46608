{{/* _network.tpl owns the pieces of network policies. */}}

{{- define "gpusize.policyHead" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "gpusize.fullname" .context }}-{{ .component }}
  labels:
    {{- include "gpusize.labels" .context | nindent 4 }}
{{- end }}
{{- define "gpusize.policySelector" -}}
podSelector:
  matchLabels:
    {{- include "gpusize.selectorLabels" .context | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
{{- end }}
{{- define "gpusize.egressDns" -}}
- to:
    {{- toYaml .Values.networkPolicy.dnsTo | nindent 4 }}
  ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
{{- end }}
{{- define "gpusize.egressDatabase" -}}
- ports:
    - {protocol: TCP, port: {{ .Values.database.port }}}
  {{- if .Values.networkPolicy.databaseTo }}
  to:
    {{- toYaml .Values.networkPolicy.databaseTo | nindent 4 }}
  {{- else if .Values.cnpg.enabled }}
  to:
    - podSelector: {matchLabels: {cnpg.io/cluster: {{ include "gpusize.cnpgName" . }}}}
  {{- end }}
{{- end }}
{{- define "gpusize.egressServer" -}}
- to:
    - podSelector:
        matchLabels:
          {{- include "gpusize.selectorLabels" . | nindent 10 }}
          app.kubernetes.io/component: server
  ports:
    - {protocol: TCP, port: 8080}
{{- end }}
{{/* To another service, or the release's own where no URL is given: (dict "context" $ "url" ...). Behind a Service the
     port of pods is what counts. */}}
{{- define "gpusize.egressUrl" -}}
{{- if .url }}
- ports:
    - {protocol: TCP, port: {{ regexFind ":[0-9]+" (regexReplaceAll "^https?://" .url "") | trimPrefix ":" | default (ternary 443 80 (hasPrefix "https:" .url)) }}}
    - {protocol: TCP, port: 8080}
{{- else }}
{{- include "gpusize.egressServer" .context }}
{{- end }}
{{- end }}
