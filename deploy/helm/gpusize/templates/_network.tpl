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
