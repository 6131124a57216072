{{- define "stepcast.labels" -}}
app.kubernetes.io/name: stepcast
app.kubernetes.io/component: server
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}
{{- define "stepcast.selector" -}}
app.kubernetes.io/name: stepcast
app.kubernetes.io/component: server
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
{{- define "stepcast.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag }}
{{- end }}
{{- define "stepcast.config" -}}
{{- $drain := dict "linger" (printf "%ds" (int .Values.drain.linger)) "timeout" (printf "%ds" (int .Values.drain.timeout)) -}}
{{- toYaml (merge (dict "drain" $drain) .Values.config) -}}
{{- end }}
{{- define "stepcast.security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: ["ALL"]
{{- end }}
